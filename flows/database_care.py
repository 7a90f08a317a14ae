"""What the commands of `archive-colorizer database` share: which database, which file, which password."""

from itertools import count
from pathlib import Path

from flows.errors import EnvironmentProblem, UsageError
from flows.settings import default_database, sqlite_path
from storage.database import SchemaError, open_database
from storage.database.checking import check
from storage.database.engine import parse_url
from storage.database.errors import describe
from storage.database.schema import REVISIONS

_LONGEST_PASSWORD = 1000


def existing_url(url: str | None, output: Path | None) -> str:
    """The URL of the named database, else of that of the output folder (default: the folder we are in).

    Raises:
        UsageError: it is a file that is not there.
    """
    url = url or default_database(output or Path())
    file = sqlite_path(url)
    if file is not None and not file.exists():
        raise UsageError(
            f"there is no database {file}; name the output folder of a run with --output, or --database URL"
        )
    return url


def check_rows(url: str) -> list[dict[str, object]]:
    """Everything that was looked at in a database, as rows of a listing."""
    return [
        {"looked_at": look.what, "finding": "right" if look.is_right else "wrong", "result": look.result}
        for look in check(url)
    ]


def is_up_to_date(url: str) -> bool:
    """Whether a database has this version's schema; False also for one that is newer or another program's."""
    try:
        open_database(url, create=False).close()
    except SchemaError:
        return False
    return True


def name_of(url: str) -> str:
    """The database in words, without user or password."""
    return describe(parse_url(url))


def backup_place(url: str, output: Path | None) -> Path:
    """A file for the backup before an upgrade to this version's schema, that is not there yet.

    Beside a SQLite database; for PostgreSQL in the output folder.

    Raises:
        UsageError: it is not known where.
    """
    database = sqlite_path(url)
    if database is None and output is None:
        raise UsageError("say where the backup of the database goes: --backup FILE, or --no-backup to make none")
    folder = output if database is None else database.parent
    stem = "provenance" if database is None else database.stem
    assert folder is not None
    names = (f"{stem}.before-{REVISIONS[-1]}{'' if number == 1 else f'-{number}'}.db" for number in count(1))
    return next(folder / name for name in names if not (folder / name).exists())


def read_password(file: Path) -> str:
    """The first line of a file.

    Raises:
        EnvironmentProblem: it cannot be read.
        UsageError: there is no password in it.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            line = stream.readline(_LONGEST_PASSWORD + 1)
    except OSError as error:
        raise EnvironmentProblem(f"the password file {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(
            f"the password file {file} is not text in UTF-8; write the password into its first line"
        ) from None
    password = line.rstrip("\r\n")
    if not password or len(password) > _LONGEST_PASSWORD or "\0" in password:
        raise UsageError(f"the password file {file} has no password in its first line; write one there")
    return password
