"""The static gallery of a run, its thumbnails and its figures."""
