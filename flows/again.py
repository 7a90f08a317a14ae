"""Again: one item colorized anew from a reference that a person chose; the old result is kept as superseded."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flows.encodings import predict
from flows.engine import Engine
from flows.errors import UsageError
from flows.failures import ItemFailure
from flows.progress import Progress
from flows.recorded import ingested, recorded_settings, reference_file
from flows.running import execute, open_run
from flows.settings import RunSettings
from flows.unfinished import short
from storage.database import Database, colorizations, references, reviews, runs
from storage.database.records import CurrentColorization, RunColorization
from storage.decoding import Decoder
from storage.film import film_sha256
from storage.fixity import sha256_file
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:  # see flows.engine
    from storage.images import Master

SUPERSEDED_FOLDER = ".archive-colorizer/superseded"
"""Where outputs lie, below the output folder, that a person replaced."""

_CURRENT = tuple(CurrentColorization.__dataclass_fields__)


def settings_of(database: Database, row: RunColorization, device: str = "auto") -> RunSettings:
    """The settings of the run that made a result.

    Raises:
        UsageError: a folder or file that it used is not there any more.
    """
    run = runs.get(database, row.run_id)
    if run is None:
        raise UsageError(f"run {row.run_id} of {row.path} is not on record")
    return recorded_settings(run, database, device)


def colorize_again(
    database: Database,
    row: RunColorization,
    reference_id: int,
    *,
    reviewer: str,
    reason: str | None = None,
    shot: int | None = None,
    device: str = "auto",
    progress: Progress,
    engine: Engine | None = None,
) -> RunColorization:
    """Replace a result by one from another reference, and put on record who wanted it so.

    The decision counts for every later run into this output folder. A document is made again as a whole.

    Args:
        row: what counts for the item.
        reference_id: of the run's database, of a reference in use.
        shot: of a film, if only that one is to have it.
        engine: networks that are loaded already.

    Returns:
        what counts now.

    Raises:
        UsageError: there is no such reference or shot, or what the run used is not there any more.
        ItemFailure: master or reference cannot be used, or the item could not be colorized.
        EnvironmentProblem: another run holds the output folder, or the device is not there.
    """
    settings = settings_of(database, row, device)
    _check(database, row, reference_id, shot, settings)
    engine = Engine.load(settings) if engine is None else replace(engine, settings=settings)
    with open_run(settings, progress) as run:
        rows = _rows_of(database, row)
        reviews.decide(
            database,
            row.id,
            "replaced",
            reviewer=reviewer,
            reason=reason,
            reference_id=reference_id,
            shot=shot,
        )
        run.read_pins()
        current = {one.item_id: CurrentColorization(**{name: getattr(one, name) for name in _CURRENT}) for one in rows}
        run.take_up(ingested(database, rows), current, engine)
        kept = _keep(rows, settings.output)
        for id_, path in kept.items():  # before the new result: a run that is killed now is gone on with by the next
            colorizations.keep(database, id_, path)
        run.index_references()
        execute(run)
        made = {one.item_id: one for one in colorizations.of_run(database, run.run_id or 0)}
    new = made.get(row.item_id)
    if new is None or new.state != "done":
        raise ItemFailure("not_made", (new and new.message) or f"{row.path} could not be colorized again")
    return new


def confidence_map(
    database: Database, row: RunColorization, *, device: str = "auto", engine: Engine | None = None
) -> NDArray[np.float32]:
    """How far the reference had a match for each place of a photograph or page: (H, W), 0..1, at the network's size.

    Computed anew, as it is not kept.

    Raises:
        UsageError: of a film there is none; or what the run used is not there any more.
        StorageError: master or reference cannot be read.
    """
    if row.kind == "film" or row.reference_path is None:
        raise UsageError(f"{row.path}: there is a confidence map of photographs and pages only")
    settings = settings_of(database, row, device)
    engine = Engine.load(settings) if engine is None else engine
    with Decoder() as decoder:
        master = decoder.read(
            text_to_path(row.archive) / text_to_path(row.path), page=row.page, max_pixels=settings.max_pixels
        )
        reference: Master = decoder.read(reference_file(row.reference_library, row.reference_path))
    found = predict(engine.colorizer, master, engine.colorizer.encode_reference(reference.preview))
    return found.confidence


def _check(
    database: Database, row: RunColorization, reference_id: int, shot: int | None, settings: RunSettings
) -> None:
    """Everything that can be wrong is to be found before the first change.

    Raises:
        UsageError, ItemFailure: as `colorize_again`.
    """
    known = references.get(database, [reference_id]).get(reference_id)
    if known is None or known.state != "active" or known.sha256 is None:
        raise UsageError(
            f"there is no reference {reference_id} in use; `archive-colorizer audit references` lists them"
        )
    if shot is not None and shot not in {one.number for one in row.shots}:
        raise UsageError(f"{row.path} has no shot {shot}; it has {len(row.shots)}")
    file = Path(os.path.normpath(reference_file(known.library, known.path)))
    if not file.is_file() or sha256_file(file) != known.sha256:
        raise ItemFailure("reference_changed", f"the reference {file} is not the picture any more that is on record")
    if known.library != path_to_text(settings.references):
        raise UsageError(f"{file} is no reference of the run's own ({settings.references}); choose one of those")
    source = text_to_path(row.archive) / text_to_path(row.path)
    if not source.exists() or film_sha256(source) != row.source_sha256:
        raise ItemFailure("changed", f"{row.path} is not the master any more that is on record; run again first")


def _rows_of(database: Database, row: RunColorization) -> list[RunColorization]:
    """What counts for the item; for a page, all pages of its document."""
    rows = colorizations.find(database, row.output_root, row.path)
    return [one for one in rows if one.archive == row.archive and (row.kind == "page" or one.item_id == row.item_id)]


def _keep(rows: Sequence[RunColorization], output: Path) -> dict[int, str]:
    """Give the outputs a second name, below `SUPERSEDED_FOLDER`; by colorization, relative to the output folder."""
    kept: dict[int, str] = {}
    names: dict[str, str] = {}
    for row in rows:
        if row.state != "done" or row.output_path is None:
            continue
        if row.output_path not in names:
            path = text_to_path(row.output_path)
            target = output / SUPERSEDED_FOLDER / short(f"{row.id}") / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(output / path, target)
            names[row.output_path] = path_to_text(target.relative_to(output))
        kept[row.id] = names[row.output_path]
    return kept


def _link(file: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        os.link(file, target)
    except OSError:  # a file system without links
        shutil.copy2(file, target)
