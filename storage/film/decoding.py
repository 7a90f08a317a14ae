"""How ffmpeg is asked to decode a film: one way for every caller, so that all of them see the same frames."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from storage.film.damage import in_short, timed_out
from storage.film.errors import UnreadableFilm
from storage.film.pixels import pixel_format
from storage.film.program import FORMATS, address, run_ffmpeg
from storage.film.records import FieldOrder, FilmFacts, SequencePattern
from storage.film.sequence import sequence_address
from storage.paths import path_to_text

_FRAME = re.compile(
    r"n:\s*0 .*?fmt:(?P<format>\S+)(?: cl:(?P<location>\S+))? sar:(?P<sar>\d+/\d+) s:(?P<width>\d+)x(?P<height>\d+)"
    r" i:(?P<order>.)"
)
_ROTATION = re.compile(r"rotation of (-?[\d.]+) degrees")


@dataclass(frozen=True)
class FirstFrame:
    """The first decoded frame; ``field_order`` is None where the frame does not say that it is interlaced."""

    pixel_format: str
    width: int
    height: int
    sample_aspect: Fraction
    chroma_location: str
    rotation: int
    field_order: FieldOrder | None


def input_arguments(
    path: Path, pattern: SequencePattern | None, rate: Fraction, seek_seconds: Fraction | None = None
) -> list[str]:
    """The arguments that open a film: strictly, without rotating it, without changing its clock.

    ``-xerror`` ends ffmpeg at the first error, and at the first frame that the decoder marks as damaged. After a
    seek there may be such frames before the wanted one; then the caller holds each frame against its MD5.
    """
    arguments = [] if seek_seconds is not None else ["-xerror"]
    arguments += ["-copyts", "-noautorotate", "-protocol_whitelist", "file,pipe"]
    if pattern is not None:
        start = pattern.first
        if seek_seconds is not None:
            start += int(seek_seconds * rate)
        arguments += ["-format_whitelist", "image2", "-f", "image2", "-pattern_type", "sequence"]
        arguments += ["-start_number", str(start), "-framerate", str(rate)]
        if start > pattern.first:
            arguments += ["-itsoffset", f"{float((start - pattern.first) / rate):.9f}"]
        return [*arguments, "-i", sequence_address(pattern)]
    arguments += ["-format_whitelist", FORMATS]
    if seek_seconds is not None:
        arguments += ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", f"{float(seek_seconds):.6f}"]
    return [*arguments, "-i", address(path)]


def output_arguments(facts: FilmFacts, filters: Sequence[str] = ()) -> list[str]:
    """The arguments that give every luma plane once, as decoded, after ``filters``; gbrp planes for RGB films.

    ``-noauto_conversion_filters`` makes a film whose pixel format changes on the way an error, instead of having
    its samples converted silently.
    """
    own, luma = luma_filters(facts)
    chain = ",".join([own, *filters, luma])
    return ["-map", f"0:{facts.video_index}", "-noauto_conversion_filters", "-vf", chain, *output_options()]


def luma_filters(facts: FilmFacts) -> tuple[str, str]:
    """The filter that lets only the film's own pixel format pass, and the one that takes the luma plane out of it."""
    pixels = pixel_format(facts.pixel_format)
    assert pixels is not None
    names = facts.pixel_format.replace("yuvj", "yuv")
    if names != facts.pixel_format:
        names = f"{names}|{facts.pixel_format}"
    return f"format={names}", pixels.luma_filter


def output_options() -> list[str]:
    """The options of an output that gets every frame once, at its own time and size."""
    return ["-fps_mode", "passthrough", "-enc_time_base", "filter", "-noautoscale"]


def plane_bytes(facts: FilmFacts) -> int:
    """The bytes of one frame as ``output_arguments`` asks for it."""
    planes = 3 if facts.subsampling == "rgb" else 1
    return facts.width * facts.height * planes * facts.sample_type.itemsize


def first_frame(path: Path, pattern: SequencePattern | None, rate: Fraction, video_index: int) -> FirstFrame:
    """What the decoder makes of the first frame; ``UnreadableFilm`` ("empty", "timeout") if there is none."""
    arguments = ["-loglevel", "info", *input_arguments(path, pattern, rate)]
    arguments += ["-map", f"0:{video_index}", "-frames:v", "1", "-vf", "showinfo=checksum=0", "-f", "null", "-"]
    try:
        finished = run_ffmpeg(arguments)
    except TimeoutError:
        raise timed_out(path, 0) from None
    text = "\n".join(finished.errors)
    found = _FRAME.search(text)
    if found is None:
        raise UnreadableFilm(
            f"{path_to_text(path)} holds no frame that can be decoded ({in_short(finished.errors)}); "
            "copy it again from its source",
            "empty",
            0,
        )
    rotation = _ROTATION.search(text)
    location = found["location"] or "unspecified"
    orders: dict[str, FieldOrder] = {"T": "top field first", "B": "bottom field first"}
    return FirstFrame(
        found["format"],
        int(found["width"]),
        int(found["height"]),
        Fraction(found["sar"]) if not found["sar"].startswith("0/") else Fraction(1),
        "left" if location == "unspecified" else location,
        round(float(rotation[1])) if rotation else 0,
        orders.get(found["order"]),
    )
