"""A film's segments: decoded ahead in one thread, colorized in this one, encoded and checked in two others."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from flows.film.analysis import FilmAnalysis, Part
from flows.film.frame_queue import FrameQueue, Stopped, ahead
from flows.film.workfolder import PartRecord, State, WorkFolder
from storage.film import OutputFormat, Plane, SegmentWriter, read_luma, subsampling_factors

if TYPE_CHECKING:  # see flows.engine
    from sscn import Colorizer, EncodedReference
    from sscn.film import ColorizedFrame, FilmColorizer

WAITING_BYTES = 64 << 20
"""Frames between two threads take no more memory than this."""
OnFrames = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Segments of one shot to be made, one after the other.

    `state` is what the frame before has left, None at the beginning of the shot.
    """

    parts: tuple[Part, ...]
    encode: "Callable[[], EncodedReference]"
    reference_sha256: str
    state: State | None


@dataclass(slots=True)
class _Figures:
    """What a segment's frames came to."""

    confidence: float = 0.0
    flicker: float = 0.0
    flicker_frames: int = 0
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _PartEnd:
    """Follows the last frame of a segment."""

    state: State
    figures: _Figures
    wall_seconds: float


_Planes = tuple[Plane, Plane, Plane]


class _Reading:
    """Takes frames from the reader's thread and counts the seconds that it has to wait for them."""

    def __init__(self, lumas: Iterator[Plane]) -> None:
        self._lumas = lumas
        self.seconds = 0.0

    def __iter__(self) -> Iterator[Plane]:
        return self

    def __next__(self) -> Plane:
        began = time.perf_counter()
        try:
            return next(self._lumas)
        finally:
            self.seconds += time.perf_counter() - began


class SegmentMaker:
    """Makes segments of one film.

    Args:
        steady: whether colours are carried over from frame to frame.
        on_frames: called with the number of frames that have been colorized since the last call.
    """

    def __init__(
        self,
        analysis: FilmAnalysis,
        colorizer: "Colorizer",
        folder: WorkFolder,
        formats: Sequence[OutputFormat],
        *,
        steady: bool,
        on_frames: OnFrames,
    ) -> None:
        self._analysis = analysis
        self._colorizer = colorizer
        self._folder = folder
        self._formats = formats
        self._steady = steady
        self._on_frames = on_frames
        facts = analysis.facts
        self._depth = max(2, min(32, WAITING_BYTES // (2 * facts.width * facts.height * facts.sample_type.itemsize)))
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._counting = threading.Lock()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each stage so far; they run beside each other."""
        return self._seconds

    def make(self, stretches: Sequence[Stretch]) -> None:
        """Make the segments of all stretches.

        Raises:
            UnreadableFilm: the film can no longer be read, or is not as it was.
            FilmNotWritten: a segment could not be written, or is not what was put in.
        """
        under_way: deque[Future[None]] = deque()
        with ahead(lambda: self._frames(stretches), self._depth) as lumas, ThreadPoolExecutor(2) as writers:
            for stretch in stretches:
                colours = self._start(stretch)
                reading = _Reading(islice(lumas, sum(map(len, stretch.parts))))
                with closing(colours.stream(reading)) as frames:
                    for part in stretch.parts:
                        under_way.append(self._colorize(part, stretch, frames, colours, reading, writers))
                        while len(under_way) > 1:
                            under_way.popleft().result()
            for future in under_way:
                future.result()

    def _frames(self, stretches: Sequence[Stretch]) -> Iterator[Plane]:
        film = self._analysis
        for stretch in stretches:
            first, last = stretch.parts[0].first, stretch.parts[-1].last
            yield from read_luma(film.path, film.facts, first, last, film.frames)

    def _start(self, stretch: Stretch) -> "FilmColorizer":
        kinds = {one.subsampling for one in self._formats}
        across, down = subsampling_factors(kinds.pop() if len(kinds) == 1 else "444")
        colours = self._colorizer.film(
            stretch.encode(),
            self._analysis.coding,
            across=across,
            down=down,
            siting=self._analysis.facts.chroma_location,
            steady=self._steady,
        )
        if stretch.state is not None:
            colours.restore(stretch.state)
        return colours

    def _colorize(
        self,
        part: Part,
        stretch: Stretch,
        frames: "Iterator[ColorizedFrame]",
        colours: "FilmColorizer",
        reading: "_Reading",
        writers: ThreadPoolExecutor,
    ) -> Future[None]:
        """Colorize one segment's frames; the answer is there when they are written and checked."""
        started = time.perf_counter()
        before = {**colours.seconds, "read": reading.seconds}
        waiting: FrameQueue[_Planes | _PartEnd] = FrameQueue(self._depth)
        written = writers.submit(self._write, part, stretch.reference_sha256, waiting)
        figures = _Figures()
        try:
            for frame in islice(frames, len(part)):
                figures.confidence += frame.confidence
                if frame.flicker is not None:
                    figures.flicker += frame.flicker
                    figures.flicker_frames += 1
                waiting.put((frame.luma, frame.chroma_blue, frame.chroma_red))
                self._on_frames(1)
            figures.seconds = _difference({**colours.seconds, "read": reading.seconds}, before)
            waiting.put(_PartEnd(colours.state(), figures, time.perf_counter() - started))
        except Stopped:
            written.result()  # says what ended the writer
            raise
        except BaseException:
            waiting.stop()
            raise
        return written

    def _write(self, part: Part, reference_sha256: str, waiting: "FrameQueue[_Planes | _PartEnd]") -> None:
        try:
            self._write_frames(part, reference_sha256, waiting)
        finally:
            waiting.stop()

    def _write_frames(self, part: Part, reference_sha256: str, waiting: "FrameQueue[_Planes | _PartEnd]") -> None:
        folder, facts = self._folder, self._analysis.facts
        writing = 0.0
        with ExitStack() as stack:
            writers = [stack.enter_context(SegmentWriter(folder.file(part, one), one, facts)) for one in self._formats]
            while not isinstance(frame := waiting.get(), _PartEnd):
                began = time.perf_counter()
                for writer in writers:
                    writer.write(*frame)
                writing += time.perf_counter() - began
            began = time.perf_counter()
        figures = frame.figures
        files: dict[str, str] = {
            one.name: writer.segment.sha256 for one, writer in zip(self._formats, writers, strict=True)
        }
        state_sha256 = folder.write_state(part, frame.state)
        record = PartRecord(
            key=folder.key(part, reference_sha256),
            frames=len(part),
            files=files,
            state_sha256=state_sha256,
            confidence=figures.confidence / len(part),
            flicker=figures.flicker / figures.flicker_frames if figures.flicker_frames else None,
            flicker_frames=figures.flicker_frames,
            seconds=figures.seconds | {"write": writing + time.perf_counter() - began},
            wall_seconds=frame.wall_seconds,
        )
        folder.write_record(part, record)
        with self._counting:
            for stage, seconds in record.seconds.items():
                self._seconds[stage] += seconds


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {stage: seconds - before.get(stage, 0.0) for stage, seconds in after.items()}
