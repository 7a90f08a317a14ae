"""Alembic's script directory; `storage.database.schema` runs it from code."""
