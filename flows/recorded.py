"""What a recorded colorization was made with: settings, items and references, to do the same work again."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.chosen import ChosenReference
from flows.failures import ItemFailure
from flows.film.analysis import FilmAnalysis
from flows.ingest import IngestedItem
from flows.planning import PendingItem
from flows.run_record import FILES
from flows.settings import RunSettings, run_settings
from flows.stopwatch import Stopwatch
from storage.database import Database, items
from storage.database.records import RecordedShot, RunColorization, StoredRun
from storage.paths import text_to_path

_DECIDES_PIXELS = (
    *("size", "attention", "format", "access", "pdf", "pdf_quality"),
    *("film_format", "shot_threshold", "steady", "sequence_rate", "sequences", "max_pixels"),
)


def recorded_settings(run: StoredRun, database: Database, device: str) -> RunSettings:
    """The settings of a run, for more work into the same output folder.

    Raises:
        UsageError: a folder or file that it used is not there any more.
    """
    names = [name for name in RunSettings.model_fields if name in run.parameters and name != "cluster"]
    given = {name: _setting(name, run.parameters[name]) for name in names}
    return run_settings(
        given
        | {
            "archive": text_to_path(run.archive),
            "references": text_to_path(run.references_root),
            "output": text_to_path(run.output_root),
            "database": database.url,
            "device": device,
            "prefect": False,
            "workers": 1,
        }
    )


def reproducing_settings(run: StoredRun, network_size: int | None, output: Path, device: str) -> RunSettings:
    """What decided the pixels of a run, for the same work into another folder.

    Args:
        network_size: what an item was colorized at; None: as the run was asked to.
    """
    names = [name for name in _DECIDES_PIXELS if name in run.parameters]
    given = {name: run.parameters[name] for name in names}
    if network_size is not None:
        given["size"] = network_size
    return run_settings(
        given
        | {
            "archive": text_to_path(run.archive),
            "references": text_to_path(run.references_root),
            "output": output,
            "device": device,
            "colorize_all": True,
            "prefect": False,
        }
    )


def ingested(database: Database, rows: Sequence[RunColorization]) -> list[IngestedItem]:
    """The items of recorded colorizations as they were when they were found."""
    records = items.records(database, [row.item_id for row in rows])
    found = []
    for row in rows:
        record = records[row.item_id]
        skip = row.message or "no scan" if row.error_type == "no_scan" else None
        found.append(IngestedItem(replace(record, sha256=row.source_sha256 or record.sha256), row.item_id, skip=skip))
    return found


class RecordedReferences:
    """Gives photographs and pages the references that they have on record; nothing is searched."""

    def __init__(self, rows: Sequence[RunColorization]) -> None:
        self._rows = {row.item_id: row for row in rows}
        self._index_version = rows[0].index_version or ""

    @property
    def index_version(self) -> str:
        """On record."""
        return self._index_version

    def choose(
        self, item: PendingItem, pixels: NDArray[np.uint8] | NDArray[np.uint16], watch: Stopwatch
    ) -> ChosenReference:
        """The reference of an item.

        Raises:
            ItemFailure: `no_reference`: the record names none.
        """
        row = self._rows[item.item_id]
        return _chosen(row.reference_id, row.reference_library, row.reference_path, row.reference_sha256, item.name)

    def count(self, item: PendingItem, chosen: ChosenReference) -> None:
        """Nothing is taken in turn."""


class RecordedShotReferences:
    """Gives the shots of a film the references that they have on record."""

    def __init__(self, row: RunColorization) -> None:
        self._shots: Mapping[int, RecordedShot] = {shot.number: shot for shot in row.shots}
        self._index_version = row.index_version or ""

    @property
    def index_version(self) -> str:
        """On record."""
        return self._index_version

    def check(self, film: str, shots: int) -> None:
        """The film must have as many shots as it had.

        Raises:
            ItemFailure: `no_such_shot`.
        """
        if shots != len(self._shots):
            raise ItemFailure(
                "no_such_shot", f"{film} is found to have {shots} shots; on record are {len(self._shots)}"
            )

    def choose(self, film: str, analysis: FilmAnalysis, number: int) -> ChosenReference:
        """The reference of a shot.

        Raises:
            ItemFailure: `no_reference`: the record names none.
        """
        shot = self._shots[number]
        name = f"{film}, shot {number}"
        return _chosen(shot.reference_id, shot.reference_library, shot.reference_path, shot.reference_sha256, name)


def reference_file(library: str | None, path: str) -> Path:
    """Where a reference lies that is on record as `path` in `library`; absolute."""
    file = text_to_path(path)
    return file if library is None else text_to_path(library) / file


def _chosen(
    reference_id: int | None, library: str | None, path: str | None, sha256: str | None, name: str
) -> ChosenReference:
    from retrieval import Reference

    if reference_id is None or path is None or sha256 is None:
        raise ItemFailure("no_reference", f"{name}: the record names no reference")
    reference = Reference(reference_id, reference_file(library, path), sha256, 0, 0)  # its size is not asked for
    return ChosenReference(reference, path, "retrieved")


def _setting(name: str, value: Any) -> Any:
    return text_to_path(value) if name in FILES and isinstance(value, str) else value
