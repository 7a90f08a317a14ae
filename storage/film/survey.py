"""One decoding of a film from its first frame to its last: times, digests and shots, and every damage found."""

import tempfile
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage.film.damage import decoder_error
from storage.film.decoder import decoding
from storage.film.decoding import luma_filters, output_options, plane_bytes
from storage.film.frames import DIGESTS, FrameTable, check_all_there, regular_frames
from storage.film.program import address
from storage.film.records import FilmFacts, Frames
from storage.film.shots import CUT_THRESHOLD, Shot, Thumbnails, find_shots

_CLOCK_JUMPS = "Non-monotonic DTS"
_SCORE = "lavfi.scd.score="
_LOOKED_AT = (160, 90)
_THUMBNAIL = (32, 18)


@dataclass(frozen=True)
class Survey:
    """Every frame of a film, and its shots in order; together these hold every frame once."""

    frames: Frames
    shots: tuple[Shot, ...]


def survey(path: Path, facts: FilmFacts, threshold: float = CUT_THRESHOLD) -> Survey:
    """Look at every frame: its time, duration and luma MD5, and where the film cuts.

    Containers list packets, and of these some hold half a frame, none, or one that is never shown. What is listed here
    comes from decoding, and is therefore exactly what ``read_luma`` gives. MPEG streams do not give a time to every
    frame, and what ffmpeg puts in may jump back; such a film gets the times of its constant rate, if nearly all of its
    frames have them (it is decoded twice). Cuts are looked for in the luma at 160 by 90 pixels, see ``find_shots``;
    ``threshold`` is the percent of change that counts as one.

    Raises ``UnreadableFilm``: ``"decoder_error"`` (with ``frames_decoded``), ``"empty"``, ``"timestamps"``,
    ``"unsupported"`` (the picture's size changes), ``"timeout"``.
    """
    with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as name:
        listing, thumbnails = Path(name, "frames"), Path(name, "thumbnails")
        table, scores = FrameTable(path, plane_bytes(facts)), array("f")
        with decoding(path, facts, _outputs(facts, listing, thumbnails)) as decoder:
            for line in decoder.lines():
                if line.startswith(_SCORE):
                    scores.append(float(line.removeprefix(_SCORE)))
                    decoder.decoded = len(scores)
                if decoder.has_complained():
                    raise decoder.broken_off()
            decoder.wait()
            if listing.exists():
                table.take(listing)
            decoder.decoded = len(table)
            jumps = decoder.says(_CLOCK_JUMPS)
            if not jumps:
                check_all_there(facts, decoder)
        frames = regular_frames(path, facts) if jumps else table.frames(facts)
        with _mapped(thumbnails) as pictures:
            if not len(frames) == len(scores) == len(pictures):
                raise decoder_error(path, facts, (), min(len(scores), len(pictures)), len(frames))
            shots = find_shots(np.array(scores, np.float32), pictures, threshold)
    return Survey(frames, tuple(shots))


def _outputs(facts: FilmFacts, listing: Path, thumbnails: Path) -> list[str]:
    """Every luma plane to the list of digests; small ones to the detection of cuts, and smaller to ``thumbnails``."""
    looked_at, thumbnail = (f"scale={width}:{height}:flags=area" for width, height in (_LOOKED_AT, _THUMBNAIL))
    own, luma = luma_filters(facts)
    graph = (
        f"[0:{facts.video_index}]{own},split[whole][small];[whole]{luma}[luma];"
        f"[small]{looked_at},format=gray,scdet=threshold=100,metadata=print:key=lavfi.scd.score:file=-:direct=1,"
        f"{thumbnail},format=gray[thumbnails]"
    )
    return [
        "-noauto_conversion_filters", "-filter_complex", graph,
        "-map", "[luma]", *output_options(), *DIGESTS, address(listing),
        "-map", "[thumbnails]", *output_options(), "-f", "rawvideo", address(thumbnails),
    ]  # fmt: skip


@contextmanager
def _mapped(thumbnails: Path) -> Iterator[Thumbnails]:
    width, height = _THUMBNAIL
    size = thumbnails.stat().st_size if thumbnails.exists() else 0
    if size < width * height:
        yield np.zeros((0, height * width), np.uint8)
        return
    pictures = np.memmap(thumbnails, np.uint8, "r", shape=(size // (width * height), height * width))
    try:
        yield pictures
    finally:
        del pictures
