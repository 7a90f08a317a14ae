"""A film from its master to the joined copy, against the network alone on the same frames: frames a second.

Both are measured alternately in one process, several times; the fastest of each counts, as other work on the machine
only ever takes away.
"""

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from flows.film.analysis import FilmAnalysis, analyse
from flows.film.single import make_film
from flows.stopwatch import peak_memory_bytes
from storage.film import FormatName, choose_format, read_luma
from storage.images import read_master

if TYPE_CHECKING:  # torch takes seconds to import
    from sscn import Colorizer, EncodedReference

REPEATS = 3
STILLS = 12
MOST_FRAMES = 300
"""Of the film are measured: they are held in memory for the network."""


@dataclass(frozen=True, slots=True)
class FilmFigures:
    """What a film costs. Frames a second are over all frames that were measured."""

    frames: int
    width: int
    height: int
    stills_fps: float
    """The network alone, one frame after the other with all threads, as stills are colorized."""
    network_fps: float
    """The network alone, its frames in memory, as many at a time as in the whole run."""
    work_fps: float
    """Decoding, network, steadying, chroma, encoding, checking and joining."""
    whole_fps: float
    """With the analysis before: digests of all frames, shots."""
    stages: Mapping[str, float]
    """Seconds a frame of the stages in the fastest of the whole runs; they run beside each other."""
    peak_bytes: int

    @property
    def ratio(self) -> float:
        """Whole runs to the network alone."""
        return self.whole_fps / self.network_fps


@dataclass(frozen=True, slots=True)
class _Pass:
    """Seconds of one whole run."""

    analysis: float
    work: float
    stages: Mapping[str, float]

    @property
    def total(self) -> float:
        return self.analysis + self.work


def measure_film(clip: Path, reference: Path, *, size: int, device: str, film_format: FormatName) -> FilmFigures:
    """Measure one film of at most `MOST_FRAMES` frames with one reference.

    Raises:
        StorageError: the film or the reference cannot be read.
    """
    from sscn import Colorizer

    colorizer = Colorizer.from_pretrained("default", device=device, size=size)
    encoded = colorizer.encode_reference(read_master(reference).preview)
    analysis = _analysed(clip)
    _network_alone(analysis, colorizer, encoded, most=2)  # libraries load
    stills, alone, passes = [], [], []
    for _ in range(REPEATS):
        stills.append(_as_stills(analysis, colorizer, encoded))
        alone.append(_network_alone(analysis, colorizer, encoded))
        passes.append(_whole(clip, colorizer, encoded, film_format))
    frames = len(analysis.frames)
    best = min(passes, key=lambda one: one.total)
    return FilmFigures(
        frames=frames,
        width=analysis.facts.width,
        height=analysis.facts.height,
        stills_fps=1 / min(stills),
        network_fps=min(frames, MOST_FRAMES) / min(alone),
        work_fps=frames / min(one.work for one in passes),
        whole_fps=frames / best.total,
        stages={name: seconds / frames for name, seconds in best.stages.items()},
        peak_bytes=peak_memory_bytes(),
    )


def _analysed(clip: Path) -> FilmAnalysis:
    return analyse(clip, sequence_rate=Fraction(24), shot_threshold=100)  # one shot: one reference was given


def _network_alone(
    analysis: FilmAnalysis, colorizer: "Colorizer", encoded: "EncodedReference", most: int = MOST_FRAMES
) -> float:
    """Seconds of the network alone, on as many frames at a time as in a whole run."""
    last = min(most, len(analysis.frames)) - 1
    lumas = list(read_luma(analysis.path, analysis.facts, 0, last, analysis.frames))
    colours = colorizer.film(encoded, analysis.coding, steady=False)
    started = time.perf_counter()
    for _ in colours.predictions(lumas):
        pass
    return time.perf_counter() - started


def _as_stills(analysis: FilmAnalysis, colorizer: "Colorizer", encoded: "EncodedReference") -> float:
    """Seconds of the network for a frame, the median of some."""
    last = min(STILLS, len(analysis.frames)) - 1
    lumas: Iterator[Any] = read_luma(analysis.path, analysis.facts, 0, last, analysis.frames)
    return median(colorizer.colorize(luma, encoded).seconds["network"] for luma in lumas)


def _whole(clip: Path, colorizer: "Colorizer", encoded: "EncodedReference", film_format: FormatName) -> _Pass:
    with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as folder:
        started = time.perf_counter()
        analysis = _analysed(clip)
        analysed = time.perf_counter()
        labels: dict[str, str] = {}
        copy = (choose_format(film_format, analysis.facts), Path(folder, "copy"), labels)
        _, seconds = make_film(analysis, colorizer, encoded, copy, steady=True, on_frames=lambda count: None)
        ended = time.perf_counter()
    return _Pass(analysed - started, ended - analysed, {"analyse": analysed - started} | seconds)
