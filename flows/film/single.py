"""One film with one reference, in one go: no database, no Prefect."""

import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from flows.film.analysis import FilmAnalysis, analyse
from flows.film.segments import OnFrames, SegmentMaker, Stretch
from flows.film.workfolder import WorkFolder
from flows.pair import PairFailed, PairSettings, read_picture, refuse_to_harm
from flows.progress import Progress
from flows.run_record import film_labels
from storage.errors import StorageError
from storage.film import FormatName, JoinedFilm, OutputFormat, choose_format, film_sha256, join

if TYPE_CHECKING:  # see flows.engine
    from sscn import Colorizer, EncodedReference

FORMATS: dict[str, FormatName] = {".mkv": "ffv1", ".mp4": "h264", ".mov": "prores"}


def colorize_film(settings: PairSettings, colorizer: "Colorizer", progress: Progress) -> JoinedFilm:
    """Colorize the target, a film or a folder of frames, and write the copy.

    Its format follows from the output's suffix: .mkv FFV1, .mp4 H.264, .mov ProRes.

    Raises:
        UsageError: a file is missing, or the output would take the place of a master or another file.
        PairFailed: target or reference cannot be read.
    """
    name = FORMATS[settings.output.suffix.lower()]
    refuse_to_harm(settings)
    reference = read_picture(settings.reference)
    try:
        analysis = analyse(settings.target, sequence_rate=Fraction(24), shot_threshold=settings.shot_threshold)
        labels = film_labels(film_sha256(settings.target), colorizer)
    except StorageError as error:
        raise PairFailed(error.message) from error
    encoded = colorizer.encode_reference(reference.preview)
    progress.begin(len(analysis.frames), "frames")
    joined, _ = make_film(
        analysis,
        colorizer,
        encoded,
        (choose_format(name, analysis.facts), settings.output, labels),
        steady=settings.steady,
        on_frames=progress.advance,
    )
    return joined


def make_film(
    analysis: FilmAnalysis,
    colorizer: "Colorizer",
    encoded: "EncodedReference",
    copy: tuple[OutputFormat, Path, dict[str, str]],
    *,
    steady: bool,
    on_frames: OnFrames,
) -> tuple[JoinedFilm, dict[str, float]]:
    """Colorize every shot after one reference and join them; returns also the seconds of each stage.

    Args:
        copy: its format, file and labels. The segments wait in a folder beside the file.
    """
    output_format, output, labels = copy
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".archive-colorizer-", dir=output.parent) as folder:
        work = WorkFolder(Path(folder), str(analysis.path), "", (output_format,))
        work.open()
        maker = SegmentMaker(analysis, colorizer, work, (output_format,), steady=steady, on_frames=on_frames)
        maker.make(_stretches(analysis, encoded))
        segments = [work.file(part, output_format) for part in analysis.parts()]
        joined = join(segments, output, output_format, analysis.facts, analysis.frames, labels)
    return joined, dict(maker.seconds)


def _stretches(analysis: FilmAnalysis, encoded: "EncodedReference") -> Sequence[Stretch]:
    numbers = range(1, len(analysis.shots) + 1)
    return [Stretch(tuple(analysis.parts(number)), lambda: encoded, "", None) for number in numbers]
