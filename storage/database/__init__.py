"""The provenance database: what was found, matched, colorized, how long it took and what people decided.

`open_database` opens it; the modules `runs`, `items`, `references`, `reference_vectors`, `reference_parts`,
`reference_metadata`, `colorizations`, `reviews`, `events`, `audit` hold plain functions whose first argument is the
open `Database`; the records of `records` go in and come out.
"""

from storage.database import (
    audit,
    colorizations,
    events,
    items,
    reference_metadata,
    reference_parts,
    reference_vectors,
    references,
    reviews,
    runs,
)
from storage.database.connection import Database, open_database
from storage.database.engine import sqlite_url
from storage.database.errors import DatabaseError, SchemaError

__all__ = [
    "Database",
    "DatabaseError",
    "SchemaError",
    "audit",
    "colorizations",
    "events",
    "items",
    "open_database",
    "reference_metadata",
    "reference_parts",
    "reference_vectors",
    "references",
    "reviews",
    "runs",
    "sqlite_url",
]
