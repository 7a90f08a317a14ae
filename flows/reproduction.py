"""Reproduce: make a recorded output once more, from the record alone, and compare the bytes.

The steps of a run do the work; only the references are those on record, and the files go to a folder of their own.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from flows.batch import BatchWorker
from flows.destination import Destination
from flows.documents.job import DocumentJob, DocumentTools
from flows.encoded_references import EncodedReferences
from flows.engine import Engine, is_out_of_memory, with_threads
from flows.errors import UsageError
from flows.failures import ItemFailure
from flows.film.given import GivenReferences
from flows.film.job import FilmJob, FilmTools
from flows.planning import PendingItem, make_plan
from flows.progress import SilentProgress
from flows.recorded import (
    RecordedReferences,
    RecordedShotReferences,
    ingested,
    reference_file,
    reproducing_settings,
)
from flows.report.thumbnails import ThumbnailFolder
from flows.requests import requests_of
from flows.run_record import library_versions
from flows.settings import RunSettings
from flows.version import code_version
from storage.database import Database, events, runs
from storage.database.records import ItemOutcome, RunColorization, StoredRun
from storage.decoding import Decoder
from storage.errors import StorageError
from storage.film import film_sha256
from storage.paths import text_to_path

COLUMNS = ("path", "page", "output_path", "finding", "recorded_sha256", "reproduced_sha256", "message")


@dataclass(frozen=True, slots=True)
class Reproduced:
    """One file made once more: `identical`, `different`, or `failed` with the reason."""

    path: str
    page: int
    output_path: str
    finding: str
    recorded_sha256: str
    reproduced_sha256: str | None
    message: str | None

    def as_row(self) -> dict[str, object]:
        """For a listing."""
        return asdict(self)


class Reproducer:
    """Makes recorded outputs again; a context manager. The networks stay loaded from one item to the next.

    Args:
        keep: where the files stay that were made; None: they are removed.
        device: as for a run; None: that on record.
    """

    def __init__(self, database: Database, *, keep: Path | None = None, device: str | None = None):
        self._database = database
        self._keep = keep
        self._device = device
        self._engines: dict[tuple[object, ...], Engine] = {}
        self._at_end = ExitStack()
        self._decoder = Decoder()

    def __enter__(self) -> Self:
        self._at_end.enter_context(self._decoder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._at_end.close()

    def reproduce(self, rows: Sequence[RunColorization]) -> list[Reproduced]:
        """Make the outputs of an item again; that it was done, and how it came out, is an event on record.

        Args:
            rows: its current, finished colorization; of a document those of all its pages.

        Raises:
            UsageError: folders of the run are not there any more.
            EnvironmentProblem: the device is not there, or the weights are not.
        """
        run = runs.get(self._database, rows[0].run_id)
        if run is None:
            raise UsageError(f"run {rows[0].run_id} of {rows[0].path} is not on record")
        with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as folder:
            output = Path(folder, "output") if self._keep is None else self._keep
            found = list(self._compare(rows, run, output))
        for one in found:
            self._put_on_record(rows[0], one)
        return found

    def _compare(self, rows: Sequence[RunColorization], run: StoredRun, output: Path) -> Iterator[Reproduced]:
        try:
            with with_threads(run.parameters.get("threads")):
                outcomes = self._made_again(rows, run, output)
        except (ItemFailure, StorageError, OSError) as error:
            yield from (_failed(row, str(getattr(error, "message", error))) for row in rows)
            return
        note = _note(run)
        seen: set[str] = set()
        for row in rows:
            outcome = outcomes.get(row.item_id)
            if outcome is None or outcome.state != "done":
                yield _failed(row, (outcome.message if outcome is not None else None) or "it was not made")
                continue
            recorded = {row.output_path: row.output_sha256} | {one.output_path: one.output_sha256 for one in row.copies}
            made = {outcome.output_path: outcome.output_sha256}
            made |= {one.output_path: one.output_sha256 for one in outcome.copies}
            for path, sha256 in recorded.items():
                if path is None or sha256 is None or path in seen:  # all pages of a document have one copy
                    continue
                seen.add(path)
                finding = "identical" if made.get(path) == sha256 else "different"
                message = note if finding == "different" else None
                yield Reproduced(row.path, row.page, path, finding, sha256, made.get(path), message)

    def _made_again(self, rows: Sequence[RunColorization], run: StoredRun, output: Path) -> dict[int, ItemOutcome]:
        """By item id."""
        first = rows[0]
        settings = reproducing_settings(run, first.network_size, output, self._device or first.device or "auto")
        _check_files(rows)
        engine = self._engine(settings)
        if engine.colorizer.weights_sha256 != first.weights_sha256:
            raise ItemFailure(
                "other_weights",
                f"{first.path} was made with other weights ({(first.weights_sha256 or '')[:12]}) than this version has",
            )
        output.mkdir(parents=True, exist_ok=True)
        starts = {row.item_id: row.started_at for row in rows}
        plan = make_plan(
            ingested(self._database, rows),
            {},
            requests_of(settings, engine.colorizer, GivenReferences(), None),
            colorize_all=True,
            output_is_there=lambda path, size: False,
        )
        pending = [replace(item, started_at=starts[item.item_id]) for item in plan.pending]
        outcomes = (
            self._film(rows[0], pending[0], engine) if first.kind == "film" else self._still(rows, pending, engine)
        )
        return {outcome.item_id: outcome for outcome in outcomes}

    def _still(
        self, rows: Sequence[RunColorization], pending: Sequence[PendingItem], engine: Engine
    ) -> list[ItemOutcome]:
        settings = engine.settings
        destination = Destination(settings.archive, settings.output, lambda path: True)
        outcomes: list[ItemOutcome] = []
        with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as folder:
            thumbnails = ThumbnailFolder(Path(folder))
            worker = BatchWorker(
                engine, self._decoder, RecordedReferences(rows), settings.archive, destination, thumbnails
            )
            if rows[0].kind == "photograph":
                worker.run(pending, outcomes.extend, lambda outcome: None)
                return outcomes
            tools = DocumentTools(
                engine, self._decoder, worker, settings.archive, settings.output, destination, thumbnails
            )
            job = DocumentJob(tools, pending)
            for batch in job.open():
                job.colorize(batch, lambda outcome: None)
            outcomes = job.finish()
            job.clear(outcomes)
            return outcomes

    def _film(self, row: RunColorization, item: PendingItem, engine: Engine) -> list[ItemOutcome]:
        settings = engine.settings
        destination = Destination(settings.archive, settings.output, lambda path: True)
        with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as folder:
            tools = FilmTools(
                engine,
                RecordedShotReferences(row),
                EncodedReferences(self._decoder),
                settings.archive,
                settings.output,
                destination,
                ThumbnailFolder(Path(folder)),
                SilentProgress(),  # what is counted here is items
            )
            job = FilmJob(tools, item)
            for group in job.open():
                try:
                    job.colorize(group)
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    raise ItemFailure("out_of_memory", f"{item.path}: not enough memory to make it again") from error
            outcome = job.finish()
            job.clear()
            return [outcome]

    def _engine(self, settings: RunSettings) -> Engine:
        key = (settings.device, settings.size, settings.attention)
        if key not in self._engines:
            self._engines[key] = Engine.load(settings)
        return replace(self._engines[key], settings=settings)

    def _put_on_record(self, row: RunColorization, found: Reproduced) -> None:
        self._database.run_write(
            lambda session: events.append(
                session,
                events.REPRODUCED,
                agent=events.agent(),
                outcome=found.finding,
                run_id=row.run_id,
                colorization_id=row.id,
                message=f"{found.output_path}: {found.reproduced_sha256 or found.message}",
            )
        )


def _check_files(rows: Sequence[RunColorization]) -> None:
    """Master and references must be what they were.

    Raises:
        ItemFailure: one is not.
        StorageError, OSError: one cannot be read.
    """
    first = rows[0]
    files = {text_to_path(first.archive) / text_to_path(first.path): first.source_sha256}
    for one in (part for row in rows for part in (row.shots or (row,))):
        if one.reference_path is not None:
            files[reference_file(one.reference_library, one.reference_path)] = one.reference_sha256
    for file, sha256 in files.items():
        if film_sha256(file) != sha256:
            raise ItemFailure("changed", f"{file} is not the file any more that the record names; `verify` lists such")


def _failed(row: RunColorization, message: str) -> Reproduced:
    return Reproduced(row.path, row.page, row.output_path or "", "failed", row.output_sha256 or "", None, message)


def _note(run: StoredRun) -> str | None:
    """What is not as it was when a run was made."""
    now = library_versions()
    changed = [
        f"{name} {was}, now {now.get(name)}" for name, was in run.library_versions.items() if now.get(name) != was
    ]
    if run.code_version != code_version():
        changed.insert(0, f"archive-colorizer {run.code_version}, now {code_version()}")
    return f"made with {'; '.join(changed)}" if changed else None
