"""Output formats: FFV1 to keep, H.264 to look at, ProRes to cut; and how ffmpeg is asked for each."""

from dataclasses import dataclass
from typing import Literal

from storage.film.errors import UnreadableFilm
from storage.film.records import FilmFacts, Subsampling
from storage.paths import path_to_text

FormatName = Literal["ffv1", "h264", "prores"]
# What FFV1 (RFC 9043) has in ffmpeg: the depths for each subsampling.
_FFV1_DEPTHS: dict[Subsampling, tuple[int, ...]] = {
    "410": (8,), "411": (8,), "440": (8, 10, 12), "420": (8, 9, 10, 12, 14, 16), "422": (8, 9, 10, 12, 14, 16),
    "444": (8, 9, 10, 12, 14, 16),
}  # fmt: skip
_CRF = 18
_ANY = (1 << 31) - 1  # setsar would round the ratio to terms of at most 100
_STANDARD_DEFINITION = 720 * 576
_HIGH_DEFINITION = 1920 * 1080


@dataclass(frozen=True)
class OutputFormat:
    """A format and the samples that a ``SegmentWriter`` of it is given.

    ``bit_depth`` and ``subsampling`` are those of the samples put in (luma always in the film's own depth);
    ``pixel_format`` is what is stored. ``lossless``: what is stored is what was put in. ``even``: the stored
    picture has an even width and height, an odd one gets its last column or row twice.
    """

    name: FormatName
    container: Literal["matroska", "mp4", "mov"]
    suffix: str
    bit_depth: int
    subsampling: Subsampling
    pixel_format: str
    full_range: bool
    lossless: bool
    even: bool


def choose_format(name: FormatName, facts: FilmFacts) -> OutputFormat:
    """The output of this name for a film.

    FFV1 keeps depth, range and chroma subsampling (4:4:4 for grey and RGB films); H.264 is 4:2:0 of 8 bits and
    ProRes 4:2:2 of 10 bits, both in limited range, which every player knows. Raises ``UnreadableFilm``
    ("unsupported") if FFV1 has nothing for the film's samples.
    """
    depth = facts.bit_depth
    if name == "h264":
        return OutputFormat("h264", "mp4", ".mp4", depth, "420", "yuv420p", False, False, True)
    if name == "prores":
        return OutputFormat("prores", "mov", ".mov", depth, "422", "yuv422p10le", False, False, True)
    kept: Subsampling = "444" if facts.subsampling in ("gray", "rgb") else facts.subsampling
    if depth not in _FFV1_DEPTHS[kept]:
        raise UnreadableFilm(
            f"{path_to_text(facts.path)} has {depth} bits a sample and {kept} chroma, which FFV1 cannot hold exactly; "
            "convert it to 4:2:2 or 4:4:4 first",
            "unsupported",
        )
    stored = f"yuv{kept}p{'' if depth == 8 else f'{depth}le'}"
    return OutputFormat("ffv1", "matroska", ".mkv", depth, kept, stored, facts.full_range, True, False)


def encoder_arguments(output: OutputFormat, facts: FilmFacts) -> list[str]:
    """Filters, encoder and tags. What changes the bytes is fixed, whatever the machine: the slices of FFV1, the
    threads of H.264."""
    # FFV1 itself has no range; without -color_range ffmpeg would want limited range of everything put into it.
    stored = ["-pix_fmt", output.pixel_format, "-color_range", "pc" if output.full_range else "tv"]
    return ["-vf", ",".join(_filters(output, facts)), *_encoder(output, facts), *stored]


def pipe_format(output: OutputFormat) -> str:
    """The pixel format in which the samples are put in."""
    return f"yuv{output.subsampling}p{'' if output.bit_depth == 8 else f'{output.bit_depth}le'}"


def _filters(output: OutputFormat, facts: FilmFacts) -> list[str]:
    """Tag the samples with what they are; convert depth and range only where the output is not lossless."""
    tags = (
        f"colorspace={facts.matrix}:color_primaries={facts.primaries or 'bt709'}:color_trc={facts.transfer or 'bt709'}"
    )
    location = f":chroma_location={facts.chroma_location}" if output.subsampling == "420" else ""
    filters = [f"setparams=range={_range(facts.full_range)}:{tags}{location}:field_mode=prog"]
    if not output.lossless:
        filters += [
            f"scale=in_range={_range(facts.full_range)}:out_range={_range(output.full_range)}:flags=bicubic+accurate_rnd",
            f"format={output.pixel_format}",
            f"setparams=range={_range(output.full_range)}:{tags}{location}:field_mode=prog",
        ]
    return [*filters, f"setsar={facts.sample_aspect.numerator}/{facts.sample_aspect.denominator}:max={_ANY}"]


def _encoder(output: OutputFormat, facts: FilmFacts) -> list[str]:
    if output.name == "h264":
        return ["-c:v", "libx264", "-preset", "medium", "-crf", str(_CRF), "-threads", "4"]
    if output.name == "prores":
        return ["-c:v", "prores_ks", "-profile:v", "hq", "-vendor", "apl0", "-threads", "0"]
    size = facts.width * facts.height
    slices = 4 if size <= _STANDARD_DEFINITION else 16 if size <= _HIGH_DEFINITION else 24
    # Every frame by itself: large contexts gain nothing then. Golomb-Rice instead of the range coder, which FFV1 has
    # for eight bits only, takes a third less time and two hundredths more room. Slices, not threads, make the bytes.
    coder = "0" if output.bit_depth == 8 else "1"
    return [
        "-c:v", "ffv1", "-level", "3", "-coder", coder, "-context", "0", "-g", "1", "-slices", str(slices),
        "-slicecrc", "1", "-threads", "0",
    ]  # fmt: skip


def _range(full: bool) -> str:
    return "full" if full else "limited"
