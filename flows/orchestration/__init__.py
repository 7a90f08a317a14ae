"""Everything that knows Prefect: the server, the flow with its tasks, the schedule."""
