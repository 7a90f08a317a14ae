"""Exports: what is handed to others, put together from the database and the files."""
