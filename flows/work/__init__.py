"""A run's work as jobs that this process, other processes of the machine, or a Dask cluster can do."""
