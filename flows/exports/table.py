"""An audit view as a table for other programs."""

from pathlib import Path
from typing import Literal, get_args

from flows.errors import EnvironmentProblem, UsageError
from flows.exports.report import ExportReport
from flows.version import code_version
from storage.database import Database, audit, runs
from storage.exports.tables import write_csv, write_parquet
from storage.paths import path_to_text

Form = Literal["csv", "parquet"]

_PARQUET = b"PAR1"


def export_table(database: Database, view: str, target: Path, form: Form, run_id: int | None = None) -> ExportReport:
    """Write an audit view (of one run) as CSV or Parquet, as the rows come: a table of any length takes little memory.

    Raises:
        UsageError: there is no such view or run, the view cannot be asked for a run, or `target` is something else
            than an earlier table of this view.
        EnvironmentProblem: a package of the extra `export` is missing.
    """
    if form not in get_args(Form):
        raise UsageError(f"a table is written as {' or '.join(get_args(Form))}, not as {form!r}")
    if run_id is not None and runs.get(database, run_id) is None:
        raise UsageError(f"there is no run {run_id} in this database; `archive-colorizer audit runs` lists them")
    try:
        columns = audit.columns(view)
        rows = audit.stream(database, view, audit.AuditFilter(run_id=run_id))
    except ValueError as error:
        raise UsageError(str(error)) from error
    _check_target(target, columns, form)
    if form == "csv":
        count = write_csv(target, columns, rows)
    else:
        about = {"view": view, "software": f"archive-colorizer {code_version()}"}
        try:
            count = write_parquet(target, columns, rows, about)
        except ModuleNotFoundError as error:
            raise EnvironmentProblem(
                f'the package {error.name} is not installed; install it with: pip install "archive-colorizer[export]", '
                "or take csv"
            ) from error
    return ExportReport(files=(target,), written=1, objects=count, notes=(f"{count} rows of {view}",))


def _check_target(target: Path, columns: list[str], form: Form) -> None:
    """What is there already is only replaced if it is such a table itself: it could be a master, or the database."""
    name = path_to_text(target)
    if target.is_dir():
        raise UsageError(f"{name} is a folder; name a file for the table")
    if not target.exists():
        return
    beginning = ",".join(columns).encode() + b"\r\n" if form == "csv" else _PARQUET
    with target.open("rb") as file:
        if file.read(len(beginning)) != beginning:
            raise UsageError(f"{name} is there already and is no such table; name another file")
