"""What can be measured on a scan, cheaply, to tell a grey photograph from all else: its colours, its page, its surface.

Everything is measured on the picture reduced to SIDE pixels, so that a number means the same for a scan of any size.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sscn.colour import linear_to_lab, to_linear
from sscn.pictures import Picture as Pixels

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

SIDE = 1024
"""Pixels of the long side on which text and surfaces are looked at."""
COLOUR_SIDE = 128
"""Likewise, colours: noise and misregistration of the channels average out."""
_CHROMA_BLUR = 2.0
_ALIGNED_SIDE = 512
_FARTHEST = 4.5
"""Pixels by which red and blue may lie beside green."""
_KNOTS = 9
_ROUNDS = 6
"""Of reweighting; the curve hardly moves after the fourth."""
_TILE = 16
_STRIP = 48
_LONGEST_PITCH = 90
"""Of lines of text, in pixels of the reduced picture."""
_SCREEN = 1.5
"""Blur, in pixels, under which the dots of a printed screen vanish and lines of text remain."""


@dataclass(frozen=True, slots=True)
class ColourFeatures:
    """What chroma (CIELAB) is left when all that one tone of a print can have is taken off."""

    minor: float
    """Standard deviation across the main direction in the plane of a*, b*: small if all strays to one hue."""
    major: float
    """Standard deviation along the main direction."""
    chroma: float
    """Median chroma of the lightest twentieth."""
    hue: float
    """Hue of the lightest twentieth, degrees, -180..180: 0 red, 90 yellow."""


@dataclass(frozen=True, slots=True)
class PageFeatures:
    """Paper, ink and lines."""

    light: float
    """Lightness L* of that."""
    extent: float
    """Share of the scan, 0..1, that the sheet covers."""
    picture: float
    """Share of the sheet, 0..1, that is neither paper nor covered with strokes only."""
    piece: float
    """The largest part of that which is in one piece, likewise."""
    uneven: float
    """How much the lightness of the paper strays from a smooth fall of light, L*."""
    solid: float
    """Share of the picture, 0..1, that is dark in patches wider than strokes are."""
    lines: float
    """0..1: how regularly lines follow each other all over the page, more than across."""
    rows: float
    """0..1: how regularly ink and gaps follow each other within narrow strips."""
    glyphs: float
    """Marks the size of letters, per thousand places that could hold one."""


@dataclass(frozen=True, slots=True)
class SurfaceFeatures:
    """How much there is to see at all, L*."""

    level: float
    """Median lightness."""
    coarse: float
    """Contrast in large shapes: spread between the 3rd and the 97th percentile, smooth light taken off."""
    medium: float
    """Contrast in shapes of 2 to 16 pixels: spread between the 5th and the 95th percentile."""
    specks: float
    """Share of the middle of the picture, 0..1, that differs clearly from its surroundings."""


def reduced(picture: Pixels, side: int = SIDE) -> NDArray[np.uint8]:
    """The picture with at most ``side`` pixels along its long side, 8 bit; small ones keep their size.

    Args:
        picture: (H, W) or (H, W, 3), uint8 or uint16, sRGB-encoded.
    """
    long = max(picture.shape[:2])
    step = max(1, long // (2 * side))  # every second pixel or so is enough of a large scan, and much faster
    some: Any = np.ascontiguousarray(picture[::step, ::step])
    height, width = some.shape[:2]
    scale = side / max(height, width)
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        some = _resized(some, size)
    return np.asarray(some if some.dtype == np.uint8 else np.rint(some / np.float32(257)), np.uint8)


def _resized(plane: Any, size: tuple[int, int]) -> Any:
    """Averaged down to (width, height); same type."""
    return cv2.resize(plane, size, interpolation=cv2.INTER_AREA)


def lab_planes(picture: NDArray[np.uint8]) -> Plane:
    """L*, a*, b* (3, H, W)."""
    return np.asarray(linear_to_lab(to_linear(picture)).numpy(), np.float32)


def lightness_of(picture: NDArray[np.uint8]) -> Plane:
    """L* (H, W), in steps of 0.4, which is enough for text and surfaces."""
    colours = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    return np.asarray(cv2.cvtColor(colours, cv2.COLOR_RGB2Lab)[:, :, 0] * np.float32(100 / 255), np.float32)


def small_lab(picture: NDArray[np.uint8]) -> Plane:
    """L*, a*, b* (3, h, w) of about COLOUR_SIDE a side: channels aligned, noise and sharp edges smoothed away."""
    aligned = _aligned(reduced(picture, _ALIGNED_SIDE))
    height, width = aligned.shape[:2]
    scale = COLOUR_SIDE / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(aligned, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return lab_planes(np.asarray(cv2.GaussianBlur(small, (0, 0), _CHROMA_BLUR), np.uint8))


def _aligned(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Red and blue moved onto green by up to 4 pixels, where a scanner put them beside it."""
    height, width = picture.shape[:2]
    if min(height, width) < 32:
        return picture
    window = cv2.createHanningWindow((width, height), cv2.CV_32F)
    middle = _edges(picture[:, :, 1])
    moved = picture.copy()
    for channel in (0, 2):
        (x, y), _ = cv2.phaseCorrelate(middle, _edges(picture[:, :, channel]), window)
        if 0.1 < np.hypot(x, y) <= _FARTHEST:
            shift = np.array([[1, 0, -x], [0, 1, -y]], np.float32)
            moved[:, :, channel] = cv2.warpAffine(
                np.ascontiguousarray(picture[:, :, channel]), shift, (width, height), borderMode=cv2.BORDER_REPLICATE
            )
    return moved


def _edges(channel: NDArray[np.uint8]) -> Plane:
    plane = channel.astype(np.float32)
    return np.asarray(cv2.GaussianBlur(plane, (0, 0), 1) - cv2.GaussianBlur(plane, (0, 0), 4), np.float32)


def colour_features(lab: Plane, margin: float = 0.0) -> ColourFeatures:
    """Measure colours: ``lab`` as `small_lab` made it, ``margin`` of each side left out (0..0.4)."""
    size = lab.shape[:0:-1]
    top, left = int(size[1] * margin), int(size[0] * margin)
    lab = lab[:, top : size[1] - top, left : size[0] - left]
    strayed, weights = _strayed(lab)
    return _colour_numbers(lab, strayed, weights)


def _strayed(lab: Plane) -> tuple[Plane, Plane]:
    """a*, b* (2, h, w) less what follows the lightness and its gradient, and the weight (h, w) of each pixel.

    A toned print has one a*, b* for each lightness. Channels that lie a little apart add, to first order, a multiple of
    the gradient of the lightness. Both are fitted together, robustly: a mount or a chart does not bend the tone.
    """
    lightness = lab[0]
    weights = np.clip((lightness - 3) / 15, 0.02, 1).astype(np.float32)
    across = cv2.Sobel(lightness, cv2.CV_32F, 1, 0, ksize=3) / 8
    down = cv2.Sobel(lightness, cv2.CV_32F, 0, 1, ksize=3) / 8
    bent = cv2.Laplacian(lightness, cv2.CV_32F)
    position = np.clip(lightness.ravel() / 100, 0, 1) * (_KNOTS - 1)
    hats = np.clip(1 - np.abs(position[:, None] - np.arange(_KNOTS)), 0, 1)
    design = np.concatenate([hats, np.stack([plane.ravel() for plane in (across, down, bent)], 1)], 1)
    stiffness = np.zeros((design.shape[1], design.shape[1]))
    second = np.diff(np.eye(_KNOTS), 2, axis=0)
    stiffness[:_KNOTS, :_KNOTS] = second.T @ second
    chroma = lab[1:].reshape(2, -1).T
    trust = weights.ravel().astype(np.float64)
    left = chroma
    for _ in range(_ROUNDS):
        weighted = design * trust[:, None]
        normal = weighted.T @ design + 1e-3 * trust.sum() * stiffness + 1e-6 * trust.sum() * np.eye(len(stiffness))
        left = chroma - design @ np.linalg.solve(normal, weighted.T @ chroma)
        size = np.hypot(left[:, 0], left[:, 1])
        scale = max(1.0, 1.5 * float(np.median(size)))
        trust = weights.ravel() / (1 + (size / scale) ** 2)
    return left.T.reshape(2, *lightness.shape).astype(np.float32), weights


def _colour_numbers(lab: Plane, strayed: Plane, weights: Plane) -> ColourFeatures:
    size = np.hypot(strayed[0], strayed[1])
    total = float(weights.sum())
    held = strayed * np.minimum(1, 15 / np.maximum(size, 1e-6))  # a few strong colours do not count for more than that
    mean = (held * weights).sum(axis=(1, 2)) / total
    flat = (held - mean[:, None, None]).reshape(2, -1)
    variance = np.linalg.eigvalsh((flat * weights.ravel()) @ flat.T / total)
    deviation = np.sqrt(np.maximum(variance, 0))
    bright = lab[0] >= np.percentile(lab[0], 95)
    a, b = float(np.median(lab[1][bright])), float(np.median(lab[2][bright]))
    return ColourFeatures(
        minor=float(deviation[0]),
        major=float(deviation[1]),
        chroma=float(np.hypot(a, b)),
        hue=float(np.degrees(np.arctan2(b, a))),
    )


def inner(lightness: Plane) -> Plane:
    """The picture without the dark or white strips of a scanner bed along its edges: L* (h, w)."""
    rows, columns = _content_span(lightness, 1), _content_span(lightness, 0)
    cut = lightness[rows[0] : rows[1], columns[0] : columns[1]]
    return cut if min(cut.shape) >= 32 else lightness


def _content_span(lightness: Plane, axis: int) -> tuple[int, int]:
    """First and last row (axis 1) or column (axis 0) of what is not a uniform strip much darker than the middle."""
    length = lightness.shape[1 - axis]
    level = np.percentile(lightness, 75, axis=axis)
    dark = level < 0.6 * np.median(level)
    reach = length // 5
    first = next((i for i in range(reach) if not dark[i : i + 3].any()), 0)
    last = next((i for i in range(reach) if not dark[length - 3 - i : length - i].any()), 0)
    return first, length - last


def page_features(lightness: Plane) -> PageFeatures:
    """Measure the page: ``lightness`` is L* (H, W) of the reduced picture."""
    page = inner(lightness)
    ground = _ground(page)
    depth = ground - page
    noise = 1.48 * float(np.median(np.abs(depth)))
    threshold = np.maximum(max(7.0, 3 * noise), 0.15 * ground)
    ink = depth > threshold
    patches = cv2.morphologyEx(ink.astype(np.uint8), cv2.MORPH_OPEN, np.ones((11, 11), np.uint8))
    solid = cv2.dilate(patches, np.ones((5, 5), np.uint8)).astype(bool) & ink
    strokes = ink & ~solid
    extent, picture, piece, uneven = _layout(ground, ink)
    lines, rows = _regularities(strokes)
    return PageFeatures(
        light=float(np.median(ground)),
        extent=extent,
        picture=picture,
        piece=piece,
        uneven=uneven,
        solid=float(solid.mean()),
        lines=lines,
        rows=rows,
        glyphs=_glyphs(ink),
    )


def _layout(ground: Plane, ink: Mask) -> tuple[float, float, float, float]:
    """Of the scan, the share that the sheet covers; of the sheet, the shares that are neither paper nor strokes, all
    together and the largest in one piece; how uneven the paper is, L*."""
    height, width = ground.shape
    size = (max(4, width // _TILE), max(4, height // _TILE))
    tiles: Plane = _resized(ground, size)
    covered = cv2.resize(ink.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    left = _smooth_removed(tiles)
    paper = ((left > -8) & (left < 14) & (covered < 0.5)).astype(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(paper, connectivity=4)
    if count < 2:
        return 0.0, 1.0, 1.0, 100.0
    largest = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))]
    x, y, w, h = (int(largest[column]) for column in range(4))
    # The outermost tiles of a sheet that lies askew are half beside it.
    inset = 1 if min(w, h) > 8 else 0
    sheet = paper[y + inset : y + h - inset, x + inset : x + w - inset]
    inside = left[y + inset : y + h - inset, x + inset : x + w - inset][sheet > 0]
    uneven = 1.48 * float(np.median(np.abs(inside - np.median(inside)))) if inside.size else 100.0
    pieces = cv2.morphologyEx(1 - sheet, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(pieces, connectivity=4)
    piece = float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / sheet.size
    return w * h / tiles.size, 1 - float(sheet.mean()), piece, uneven


def _ground(page: Plane) -> Plane:
    """L* of the paper under each pixel: what is lightest around it, noise averaged out."""
    soft = cv2.GaussianBlur(page, (0, 0), 1.0)
    height, width = page.shape
    grid = cv2.resize(
        cv2.dilate(soft, np.ones((5, 5), np.uint8)),
        (max(2, width // 4), max(2, height // 4)),
        interpolation=cv2.INTER_AREA,
    )
    lightest = cv2.erode(cv2.dilate(grid, np.ones((11, 11), np.uint8)), np.ones((11, 11), np.uint8))
    smooth = cv2.GaussianBlur(lightest, (0, 0), 6)
    ground = np.asarray(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    close = (ground - page) < np.maximum(6, 0.12 * ground)
    # The lightest lies above the middle of the paper's own noise: bring it down to that.
    return ground - np.float32(np.median((ground - soft)[close]) if close.any() else 0)


def _smooth_removed(plane: Plane) -> Plane:
    """``plane`` less the quadric that fits it best, robustly."""
    height, width = plane.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    design = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], -1).reshape(-1, 6)
    values = plane.reshape(-1).astype(np.float64)
    trust = np.ones_like(values)
    left = values
    for _ in range(4):
        weighted = design * trust[:, None]
        left = values - design @ np.linalg.lstsq(weighted.T @ design, weighted.T @ values, rcond=None)[0]
        trust = 1 / (1 + (left / max(0.5, 2 * float(np.median(np.abs(left))))) ** 2)
    return left.reshape(height, width).astype(np.float32)


def _regularities(strokes: Mask) -> tuple[float, float]:
    """Of lines and of rows, in the direction of the page in which they are more regular."""
    down, across = _periodicities(strokes), _periodicities(np.ascontiguousarray(strokes.T))
    return abs(down[0] - across[0]), max(down[1], across[1])


def _periodicities(strokes: Mask) -> tuple[float, float]:
    """How strongly the ink repeats down the page, 0..1: at one distance for the whole page, and within narrow strips.

    The page is cut into strips, so that lines may lie askew. When their autocorrelations are averaged, the accidental
    peaks of what is no text cancel.
    """
    height, width = strokes.shape
    if height < 2 * _LONGEST_PITCH or width < _STRIP:
        return 0.0, 0.0
    strips = strokes[:, : width // _STRIP * _STRIP].reshape(height, -1, _STRIP).mean(axis=2, dtype=np.float32).T
    strips = strips[strips.mean(axis=1) > 0.01]
    if len(strips) < 2:
        return 0.0, 0.0
    strips = cv2.GaussianBlur(np.ascontiguousarray(strips), (0, 1), sigmaX=_SCREEN, sigmaY=0.01)
    spectrum = np.fft.rfft(strips - cv2.blur(strips, (61, 1)), n=2 * height, axis=1)
    overlap = np.fft.irfft(np.abs(spectrum) ** 2, axis=1)[:, :_LONGEST_PITCH]
    together = overlap.sum(axis=0)
    return _peak(together), float(np.median([_peak(each) for each in overlap]))


def _peak(overlap: NDArray[np.floating]) -> float:
    """The highest value of an autocorrelation after it fell below zero, as a share of the first."""
    below = overlap < 0
    if overlap[0] <= 1e-6 or not below.any():
        return 0.0
    return max(0.0, float(overlap[int(np.argmax(below)) :].max())) / float(overlap[0])


def _glyphs(ink: Mask) -> float:
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    if count < 2:
        return 0.0
    width, height, area = (stats[1:, column] for column in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    letters = (height >= 4) & (height <= 40) & (width >= 2) & (width <= 120) & (area >= 8)
    return float(1000 * letters.sum() / (ink.size / 144))


def surface_features(lightness: Plane) -> SurfaceFeatures:
    """Measure how much there is to see: ``lightness`` is L* (H, W) of the reduced picture."""
    height, width = lightness.shape
    page = lightness[height // 6 : height - height // 6, width // 6 : width - width // 6]
    height, width = page.shape
    size = (max(4, width // _TILE), max(4, height // _TILE))
    left = _smooth_removed(_resized(page, size))
    soft = cv2.GaussianBlur(page, (0, 0), 2)
    near = soft - cv2.GaussianBlur(page, (0, 0), _TILE)
    return SurfaceFeatures(
        level=float(np.median(page)),
        coarse=float(np.subtract(*np.percentile(left, (97, 3)))),
        medium=float(np.subtract(*np.percentile(near, (95, 5)))),
        specks=float((np.abs(near) > 6).mean()),
    )
