"""`archive-colorizer database`: care of the provenance database."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from flows.cli import options

if TYPE_CHECKING:
    from storage.database import Database

app = typer.Typer(help="Care of the provenance database.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Care of the provenance database."""


@app.command("upgrade")
def upgrade(output: options.FoundOutput = None, database: options.FoundDatabase = None) -> None:
    """Bring a database of an older version of this program to this version's schema. Make a backup first.

    All or nothing: if it fails, the database is as it was. A database that is up to date is left alone.
    """
    from flows.existing import open_existing
    from flows.settings import default_database
    from storage.database import SchemaError, open_database

    try:
        with open_existing(database, output) as opened:
            print(f"nothing to do: {_name(opened)} has the schema of this version")
            return
    except SchemaError:
        pass  # older, which is what we are here for; or newer or foreign, which is said again
    url = database or default_database(output or Path())
    with open_database(url, create=False, upgrade=True) as opened:
        print(f"upgraded {_name(opened)} to the schema of this version; its records are kept")


def _name(database: "Database") -> str:
    """The database in words, without user or password."""
    return repr(database).strip("<>")
