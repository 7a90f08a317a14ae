"""The files that the records tell of: those that should be there, and every one that was ever written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database.connection import Database
from storage.database.models import Colorization, Copy, Item, Reference, Shot
from storage.database.statements import ROWS_PER_STATEMENT
from storage.paths import path_to_text, text_to_path


@dataclass(frozen=True, slots=True)
class ExpectedFile:
    """A file that should be there with this content; `path` is absolute, a text of `storage.paths`."""

    what: Literal["source", "output", "reference"]
    path: str
    sha256: str
    colorization_id: int


def expected_files(
    db: Database, *, output_root: str | None = None, run_id: int | None = None
) -> Iterator[ExpectedFile]:
    """The files that should be there: outputs that count, with their masters and references, and replaced outputs
    that were kept. In chunks; the same file may come several times.

    Args:
        output_root: only of this output folder.
        run_id: only of this run.
    """
    query = sa.select(
        Colorization.id,
        Colorization.output_root,
        Colorization.output_path,
        Colorization.output_sha256,
        Colorization.source_sha256,
        Colorization.reference_path,
        Colorization.reference_sha256,
        Colorization.superseded_at,
        Colorization.kept_path,
        Item.archive,
        Item.path,
        Reference.library,
    )
    query = query.outerjoin(Item, Item.id == Colorization.item_id)
    query = query.outerjoin(Reference, Reference.id == Colorization.reference_id)
    query = query.where(
        Colorization.state == "done",
        sa.or_(Colorization.superseded_at.is_(None), Colorization.kept_path.is_not(None)),
        *_within(output_root, run_id),
    )
    for row in by_id(db, query, Colorization.id):
        yield from _files_of(row)
    counts = (Colorization.state == "done", Colorization.superseded_at.is_(None), *_within(output_root, run_id))
    copies = sa.select(
        Copy.id, Copy.colorization_id, Copy.output_path, Copy.output_sha256, Colorization.output_root
    ).join(Colorization, Colorization.id == Copy.colorization_id)
    for row in by_id(db, copies.where(*counts), Copy.id):
        path = _place(row["output_root"], row["output_path"])
        yield ExpectedFile("output", path, row["output_sha256"], row["colorization_id"])
    shots = sa.select(
        Shot.id, Shot.colorization_id, Shot.reference_path, Shot.reference_sha256, Reference.library
    ).join(Colorization, Colorization.id == Shot.colorization_id)
    shots = shots.outerjoin(Reference, Reference.id == Shot.reference_id)
    for row in by_id(db, shots.where(*counts), Shot.id):
        yield from _reference_of(row, row["colorization_id"])


def recorded_outputs(db: Database, output_root: str) -> Iterator[str]:
    """Every path, relative to the output folder, that was ever recorded for a file in it; in chunks."""
    here = Colorization.output_root == output_root
    query = sa.select(Colorization.id, Colorization.output_path, Colorization.kept_path).where(here)
    for row in by_id(db, query, Colorization.id):
        yield from (path for path in (row["output_path"], row["kept_path"]) if path is not None)
    copies = sa.select(Copy.id, Copy.output_path).join(Colorization, Colorization.id == Copy.colorization_id)
    yield from (row["output_path"] for row in by_id(db, copies.where(here), Copy.id))


def output_roots(db: Database) -> list[str]:
    """The output folders that there are records of."""
    query = sa.select(Colorization.output_root).distinct().order_by(Colorization.output_root)
    return db.run_read(lambda session: list(session.scalars(query)))


def other_folders(db: Database) -> set[str]:
    """The archives and reference libraries that there are records of."""

    def work(session: Session) -> set[str]:
        return {
            *session.scalars(sa.select(Item.archive).distinct()),
            *session.scalars(sa.select(Reference.library).distinct()),
        }

    return db.run_read(work)


def by_id(db: Database, query: sa.Select[Any], key: sa.orm.InstrumentedAttribute[int]) -> Iterator[sa.RowMapping]:
    """The rows by rising `key`, which is their `id`; each chunk in a transaction of its own, as hashing takes days."""
    last: int | None = None
    while rows := _chunk(db, query if last is None else query.where(key > last), key):
        yield from rows
        last = rows[-1]["id"]


def _chunk(db: Database, query: sa.Select[Any], key: sa.orm.InstrumentedAttribute[int]) -> Sequence[sa.RowMapping]:
    query = query.order_by(key).limit(ROWS_PER_STATEMENT)
    return db.run_read(lambda session: session.execute(query).mappings().all())


def _within(output_root: str | None, run_id: int | None) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if output_root is not None:
        found.append(Colorization.output_root == output_root)
    if run_id is not None:
        found.append(Colorization.run_id == run_id)
    return found


def _files_of(row: sa.RowMapping) -> Iterator[ExpectedFile]:
    root, id_ = row["output_root"], row["id"]
    if row["superseded_at"] is not None:
        yield ExpectedFile("output", _place(root, row["kept_path"]), row["output_sha256"], id_)
        return
    yield ExpectedFile("output", _place(root, row["output_path"]), row["output_sha256"], id_)
    if row["source_sha256"] and row["archive"] is not None:
        yield ExpectedFile("source", _place(row["archive"], row["path"]), row["source_sha256"], id_)
    yield from _reference_of(row, id_)


def _reference_of(row: sa.RowMapping, colorization_id: int) -> Iterator[ExpectedFile]:
    if not row["reference_path"] or not row["reference_sha256"]:
        return
    path = row["reference_path"] if row["library"] is None else _place(row["library"], row["reference_path"])
    if path.startswith("/"):  # else it is not known where it lay
        yield ExpectedFile("reference", path, row["reference_sha256"], colorization_id)


def _place(folder: str, path: str) -> str:
    try:
        return path_to_text(text_to_path(folder) / text_to_path(path))
    except ValueError:  # not a path that this program wrote; there will be no such file
        return f"{folder}/{path}"
