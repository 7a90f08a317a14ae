"""One film of a run, from its analysis to its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, cast

from flows.chosen import ChosenReference
from flows.destination import Destination
from flows.encoded_references import EncodedReferences
from flows.engine import Engine
from flows.failures import ItemFailure, describe_failure, end_if_disk_is_full
from flows.film.analysis import FilmAnalysis, Part, analyse
from flows.film.choosing import ChoosesShotReferences
from flows.film.outcome import CopyMade, ShotMade, film_outcome
from flows.film.segments import SegmentMaker, Stretch
from flows.film.state import FilmState
from flows.film.workfolder import PartRecord, WorkFolder
from flows.planning import PendingItem
from flows.progress import Progress
from flows.report.film_thumbnails import write_shot_thumbnails
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from flows.run_record import film_labels
from flows.stopwatch import Stopwatch, peak_memory_bytes
from flows.unfinished import identity
from storage.database.records import ItemOutcome
from storage.film import FilmNotWritten, FormatName, OutputFormat, choose_format, film_sha256, join
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:  # see flows.engine
    from sscn import Colorizer, EncodedReference

GROUP_FRAMES = 3000
"""Shots that make up one task have so many frames together, or are one shot."""

_AT_HALF_SIZE = "colorized at half the size, since the memory did not suffice for the full one"


@dataclass(frozen=True, slots=True)
class FilmTools:
    """What all films of a run have in common."""

    engine: Engine
    references: ChoosesShotReferences
    encoded: EncodedReferences
    archive: Path
    output: Path
    destination: Destination
    thumbnails: ThumbnailFolder
    progress: Progress


class FilmJob:
    """One film: `open` it, `colorize` its groups of shots, `finish` it.

    The steps must come in this order; each raises what goes wrong, and `failed` makes an outcome of that. Each may be
    done by another process, which is given the `state` that the steps before it left. A film that was cut off goes on
    with its first missing segment.

    Args:
        known: what steps before this one found out.
    """

    def __init__(self, tools: FilmTools, item: PendingItem, known: FilmState | None = None) -> None:
        known = known or FilmState()
        self.item = item
        self._tools = tools
        self._settings = tools.engine.settings
        self._smaller = known.smaller
        self._path = tools.archive / text_to_path(item.path)
        self._watch = Stopwatch(dict(known.seconds))
        self._started_at = known.started_at or datetime.now(UTC)
        self._stage = "read"
        self._notes = [_AT_HALF_SIZE] if known.smaller else []
        self._analysis = known.analysis
        self._references: dict[int, ChosenReference] = dict(known.references)
        self._kept: dict[Part, PartRecord] = {}

    @property
    def state(self) -> FilmState:
        """What is known of the film now."""
        return FilmState(self._analysis, self._references, self._watch.seconds, self._started_at, self._smaller)

    @property
    def analysis(self) -> FilmAnalysis:
        """There after `open`."""
        if self._analysis is None:
            raise RuntimeError(f"the film {self.item.path} has not been opened")
        return self._analysis

    def open(self) -> list[range]:
        """Analyse the film; returns groups of its shots, by their numbers from 1.

        Raises:
            UnreadableFilm: it is damaged anywhere, or cannot be colorized.
            ItemFailure: it is not as it was, or has no place to go.
            LowMatch: a shot has only a doubtful reference, and such films are to be left out.
        """
        self._stage = "write"
        for output_path in self.item.output_paths:
            self._tools.destination.place(self.item.path, output_path)
        self._stage = "read"
        if self._analysis is None:
            self._tools.progress.say(f"looking at every frame of {self.item.path}")
            with self._watch.stage("analyse"):
                self._analysis = self._analyse()
        self._analysis.coding  # noqa: B018 - raises for what cannot be colorized
        shots = self._analysis.shots
        self._tools.references.check(self.item.path, len(shots))
        if self._settings.skip_low_match:  # found out now rather than after the work
            for number in range(1, len(shots) + 1):
                self._reference(number)
        self._folder().open()
        self._tools.progress.say(f"{self.item.path}: {len(self._analysis.frames)} frames in {len(shots)} shots")
        self._tools.progress.begin(len(self._analysis.frames), f"frames of {self.item.path}")
        return _groups([len(shot) for shot in shots])

    def colorize(self, shots: Sequence[int]) -> None:
        """Make the segments of these shots that are not there yet.

        Raises:
            FilmNotWritten, UnreadableFilm, ItemFailure: as the steps do.
            RuntimeError, MemoryError: the memory does not suffice (`flows.engine.is_out_of_memory`); the film can be
                opened again with `FilmState.smaller`.
        """
        stretches = [stretch for number in shots for stretch in self._stretches(number)]
        done = sum(len(self.analysis.shots[number - 1]) for number in shots)
        missing = sum(len(part) for stretch in stretches for part in stretch.parts)
        self._tools.progress.pass_over(done - missing)
        if not stretches:
            return
        self._stage = "network"
        maker = SegmentMaker(
            self.analysis,
            self._colorizer,
            self._folder(),
            self._formats,
            steady=self._settings.steady,
            on_frames=self._tools.progress.advance,
        )
        maker.make(stretches)

    def finish(self) -> ItemOutcome:
        """Join the segments and return the outcome; `clear` when that is on record.

        Raises:
            FilmNotWritten: a copy could not be written whole.
        """
        everything = range(1, len(self.analysis.shots) + 1)
        if any(self._stretches(number) for number in everything):  # other steps were left out, or broke off
            self.colorize(everything)
        made = [self._shot_made(number) for number in everything]
        self._stage = "write"
        with self._watch.stage("join"):
            copies = [self._join(*pair) for pair in zip(self._formats, self.item.output_paths, strict=True)]
        with self._watch.stage("thumbnail"):
            self._write_thumbnails(made)
        outcome = film_outcome(self.item, self.analysis, self._colorizer, made, copies, self._watch)
        return self._completed(outcome)

    def clear(self) -> None:
        """The outcome is on record: the segments are not needed any more."""
        self._folder().remove()

    def free_memory(self) -> None:
        """Give back what can be spared, before the film is made smaller."""
        self._tools.encoded.clear()
        self._tools.engine.free_memory()

    def failed(self, error: Exception) -> ItemOutcome:
        """The outcome of a film that went wrong or is left out. What is no fault of the film is raised instead."""
        if isinstance(error, FilmNotWritten):
            end_if_disk_is_full(self._settings.output, self.item.path)
        failure = describe_failure(error, self._stage, self.item.path)
        return self._completed(
            ItemOutcome(
                item_id=self.item.item_id,
                state=failure.state,
                stage=failure.stage,
                error_type=failure.error_type,
                message=failure.message,
                match_confidence=failure.match_confidence,
                low_match=failure.low_match,
                seconds=self._watch.total,
                timings=self._watch.timings(),
            )
        )

    @property
    def _colorizer(self) -> "Colorizer":
        return self._tools.engine.smaller if self._smaller else self._tools.engine.colorizer

    def _analyse(self) -> FilmAnalysis:
        if film_sha256(self._path) != self.item.sha256:
            raise ItemFailure(
                "changed", f"{self.item.path} changed while the run was under way; run again to colorize it"
            )
        return analyse(
            self._path, sequence_rate=self._settings.sequence_rate, shot_threshold=self._settings.shot_threshold
        )

    @property
    def _formats(self) -> tuple[OutputFormat, ...]:
        return tuple(choose_format(cast(FormatName, name), self.analysis.facts) for name in self.item.output_formats)

    def _folder(self) -> WorkFolder:
        film = identity(path_to_text(self._tools.archive), self.item.path)
        request = f"{self.item.request_key} smaller" if self._smaller else self.item.request_key
        return WorkFolder(self._tools.output, film, request, self._formats)

    def _stretches(self, number: int) -> list[Stretch]:
        """The segments of a shot that are missing, in runs; each goes on from the segment before it."""
        reference = self._reference(number)
        folder = self._folder()
        encode = partial(self._encode, reference)
        stretches: list[Stretch] = []
        before: Part | None = None
        for is_kept, parts in groupby(
            self.analysis.parts(number), lambda part: self._record(part, folder, reference) is not None
        ):
            run = tuple(parts)
            if not is_kept:
                state = folder.state_after(before) if before is not None else None
                stretches.append(Stretch(run, encode, reference.reference.sha256, state))
            before = run[-1]
        return stretches

    def _record(self, part: Part, folder: WorkFolder, reference: ChosenReference) -> PartRecord | None:
        """The record of a segment, None if it is to be made; each is checked once."""
        if part not in self._kept and (record := folder.kept(part, reference.reference.sha256)) is not None:
            self._kept[part] = record
        return self._kept.get(part)

    def _reference(self, number: int) -> ChosenReference:
        if number not in self._references:
            self._stage = "search"
            with self._watch.stage("search"):
                self._references[number] = self._tools.references.choose(self.item.path, self.analysis, number)
        return self._references[number]

    def _encode(self, reference: ChosenReference) -> "EncodedReference":
        encoded, picture = self._tools.encoded.encode(reference.reference, self._colorizer)
        if picture is not None:
            write_thumbnail(self._tools.thumbnails.reference(reference.reference.id), picture.preview)
        return encoded

    def _shot_made(self, number: int) -> ShotMade:
        reference = self._reference(number)
        folder = self._folder()
        records: list[PartRecord] = []
        for part in self.analysis.parts(number):
            record = self._record(part, folder, reference)
            if record is None:
                raise ItemFailure("changed", f"{self.item.path}: a segment was changed or removed; run again")
            records.append(record)
        return ShotMade(number, self.analysis.shots[number - 1], reference, tuple(records))

    def _join(self, output_format: OutputFormat, output_path: str) -> CopyMade:
        place = self._tools.destination.place(self.item.path, output_path)
        segments = [self._folder().file(part, output_format) for part in self.analysis.parts()]
        labels = film_labels(self.item.sha256, self._colorizer)
        joined = join(segments, place, output_format, self.analysis.facts, self.analysis.frames, labels)
        self._notes += [f"{output_format.name}: {stream} left out" for stream in joined.left_out]
        return CopyMade(output_format, output_path, joined.sha256, place.stat().st_size)

    def _write_thumbnails(self, made: Sequence[ShotMade]) -> None:
        """A picture that cannot be made is no loss to the film."""
        folder, main = self._folder(), self._formats[0]
        for shot in made:
            part = next(
                part for part in self.analysis.parts(shot.number) if part.first <= shot.shown_frame <= part.last
            )
            try:
                write_shot_thumbnails(
                    folder.file(part, main),
                    {shot.shown_frame - part.first: shot.number},
                    self._tools.thumbnails,
                    self.item.item_id,
                )
            except Exception as error:
                describe_failure(error, "write", self.item.path)
                self._notes.append(f"shot {shot.number} has no thumbnail ({error})")

    def _completed(self, outcome: ItemOutcome) -> ItemOutcome:
        return replace(
            outcome,
            request_key=self.item.request_key,
            source_sha256=self.item.sha256,
            index_version=self._tools.references.index_version,
            started_at=self._started_at,
            created_at=datetime.now(UTC),
            peak_memory_bytes=peak_memory_bytes(),
            message=outcome.message or "; ".join(self._notes) or None,
        )


def _groups(lengths: Sequence[int]) -> list[range]:
    groups: list[range] = []
    start, frames = 1, 0
    for number, length in enumerate(lengths, start=1):
        frames += length
        if frames >= GROUP_FRAMES or number == len(lengths):
            groups.append(range(start, number + 1))
            start, frames = number + 1, 0
    return groups
