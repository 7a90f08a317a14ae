"""Pixel formats and colour: depth, chroma subsampling, matrix and range, and what is assumed of untagged film."""

from dataclasses import dataclass

from av.video.format import VideoFormat

from storage.film.records import Subsampling

# Names of ITU-T H.273 (04/2021), tables 2 to 4, as ffmpeg writes them.
MATRICES = {
    1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "ycgco", 9: "bt2020nc", 10: "bt2020c",
}  # fmt: skip
PRIMARIES = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film", 9: "bt2020", 10: "smpte428",
    11: "smpte431", 12: "smpte432", 22: "jedec-p22",
}  # fmt: skip
TRANSFERS = {
    1: "bt709", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear", 9: "log100", 10: "log316",
    11: "iec61966-2-4", 12: "bt1361e", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
    17: "smpte428", 18: "arib-std-b67",
}  # fmt: skip
HD_LINES = 720
_LIMITED_GRAY = frozenset({"h264", "hevc", "av1", "vp9", "mpeg2video", "mpeg4", "prores"})
_SUBSAMPLINGS: dict[tuple[int, int], Subsampling] = {
    (1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411", (4, 4): "410",
}  # fmt: skip
FACTORS = {name: factors for factors, name in _SUBSAMPLINGS.items()}


@dataclass(frozen=True)
class PixelFormat:
    """A decoder's pixel format, and the filter that takes its luma out without touching a sample.

    The filter gives gray, gray9le ... gray16le; for RGB formats the three planes G, B, R (gbrp, gbrp10le ...). The
    repacking it does for interleaved and big-endian formats only moves samples (the tests compare every one).
    """

    name: str
    bit_depth: int
    subsampling: Subsampling
    full_range: bool  # the old yuvj formats are full range by their name
    luma_filter: str


def pixel_format(name: str) -> PixelFormat | None:
    """The format by ffmpeg's name; None for what cannot be read sample by sample here (float, Bayer, XYZ, mixed)."""
    try:
        found = VideoFormat(name, 64, 64)
    except ValueError:
        return None
    if name in ("monow", "monob"):
        return PixelFormat(name, 8, "gray", True, "scale,format=gray")
    if found.has_palette:
        return PixelFormat(name, 8, "rgb", True, "scale,format=gbrp")
    colours = [component for component in found.components if not component.is_alpha]
    depths = {component.bits for component in colours}
    depth = max(depths, default=0)
    if (
        len(depths) != 1
        or not 8 <= depth <= 16
        or found.is_bayer
        or name.startswith("xyz")
        or "f16" in name
        or "msb" in name
    ):
        return None
    ending = "" if depth == 8 else f"{depth}le"
    if found.is_rgb:
        return PixelFormat(name, depth, "rgb", True, f"scale,format=gbrp{ending}")
    swap = f",scale,format=gray{ending}" if found.is_big_endian and depth > 8 else ""
    if len(colours) == 1:
        return PixelFormat(name, depth, "gray", False, f"extractplanes=y{swap}")
    subsampling = _SUBSAMPLINGS.get((64 // found.chroma_width(64), 64 // found.chroma_height(64)))
    if subsampling is None:
        return None
    separate = len({component.plane for component in colours}) == len(colours)
    repack = "" if separate else f"scale,format=yuv{subsampling}p{ending},"
    if not separate:
        swap = ""
    return PixelFormat(name, depth, subsampling, name.startswith("yuvj"), f"{repack}extractplanes=y{swap}")


def assumed_matrix(subsampling: Subsampling, height: int) -> str:
    """The matrix of a film that names none: BT.709 from 720 lines on and for RGB, otherwise BT.601.

    ITU-R BT.709 is the matrix of high definition, BT.601 that of standard definition; players assume the same.
    """
    return "bt709" if subsampling == "rgb" or height >= HD_LINES else "smpte170m"


def assumed_full_range(found: PixelFormat, codec: str) -> bool:
    """The range of a film that names none: limited for YUV; full for RGB, for yuvj, and for gray scans.

    Gray is limited only in the codecs of television, whose standards say so (ITU-T H.264, annex E).
    """
    if found.subsampling == "gray":
        return codec not in _LIMITED_GRAY
    return found.full_range
