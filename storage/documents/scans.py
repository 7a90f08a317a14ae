"""Which of a page's images are its scan: one that fills it, or several that together make one picture."""

from dataclasses import dataclass

import pikepdf

from storage.documents.drawings import Drawing, PageDrawing, look_through, numbers, page_resources
from storage.documents.filters import codec_data
from storage.documents.opening import OpenDocument
from storage.documents.placing import Box, Matrix, area, around, bounds, common, orientation, resolution
from storage.documents.stored_images import StoredImage, describe_image
from storage.documents.tiles import Tile, find_tiles
from storage.images import jpeg2000
from storage.images.records import Header, ImageFacts, Refusal
from storage.images.source import Source

_MAX_SIDE = 1 << 20
_LEAST_PIXELS = 64
"""Images of fewer are rules, dots and backgrounds."""
_SMALL_SHARE = 0.05
"""Of the largest image's area: what the others may have together and still be additions to it, not parts of it."""
_PATCH_SHARE = 0.01
"""Of the picture's area: images of less do not decide at what resolution the whole is taken."""
_LEAST_COVER = 0.1
_LEAST_COVER_WITH_TEXT = 0.5
"""Of the page: a page of printed text has a scan only if that is most of it."""
_LETTER: Box = (0.0, 0.0, 612.0, 792.0)


@dataclass(frozen=True)
class Scan:
    """A page's scan: one image as stored (``image``), or, where that is None, all of its images taken as one.

    ``drawing`` is the image that is replaced, or the first of those. ``tiles`` are the images where they make up the
    picture without gaps at its own resolution; else they have to be drawn. ``matrix`` takes the unit square to default
    user space; width and height are of the stored rows, in pixels.
    """

    image: StoredImage | None
    drawing: Drawing
    parts: tuple[StoredImage, ...]
    matrix: Matrix
    width: int
    height: int
    channels: int
    bits: int
    orientation: int
    ppi: tuple[float, float] | None
    has_icc: bool
    tiles: tuple[Tile, ...] = ()

    def facts(self, pages: int) -> ImageFacts:
        """As told to the outside, with width and height of the upright picture."""
        turned = self.orientation >= 5
        return ImageFacts(
            format="pdf",
            width=self.height if turned else self.width,
            height=self.width if turned else self.height,
            channels=self.channels,
            bit_depth=self.bits,
            pages=pages,
            ppi=self.ppi,
            has_icc=self.has_icc,
        )


def find_scan(document: OpenDocument, page: pikepdf.Page) -> Scan | str:
    """The page's scan, or why it has none as a short clause; raises ``Refusal`` where an image is damaged."""
    try:
        drawn = look_through(document.pdf, page)
    except Refusal as refusal:
        if refusal.error_type == "too_large":
            return "the page draws too much to be a scan"
        raise
    paper = page_box(page)
    resources = page_resources(page)
    parts: list[tuple[Drawing, StoredImage]] = []
    for drawing in drawn.images:
        if area(common(drawing.box, paper)) > 0:
            image = describe_image(drawing.image, resources, document.pdf.Root)
            if image.width * image.height >= _LEAST_PIXELS:
                parts.append((drawing, image))
    if not parts:
        return _nothing(drawn, document.was_repaired)
    whole = common(around([drawing.box for drawing, _ in parts]), paper)
    cover = area(whole) / area(paper)
    if drawn.has_visible_text and cover < _LEAST_COVER_WITH_TEXT:
        return "the page has text and only small pictures"
    if cover < _LEAST_COVER:
        return "the page has only small pictures"
    main, image = max(parts, key=lambda part: area(common(part[0].box, paper)))
    others = sum(area(common(drawing.box, paper)) for drawing, _ in parts if drawing is not main)
    stays = not image.has_masked_colours and (main.black_fill or not image.is_stencil)
    if stays and others < _SMALL_SHARE * area(common(main.box, paper)):
        return _one_image(main, image, page)
    return _taken_together(parts, whole, page)


def page_box(page: pikepdf.Page) -> Box:
    """What is shown of the page, in default user space."""
    media = _box(page.obj.get("/MediaBox"))
    crop = _box(page.obj.get("/CropBox"))
    if media is None:
        return crop or _LETTER
    if crop is None:
        return media
    both = common(media, crop)
    return both if area(both) > 0 else media


def jpx_header(image: StoredImage) -> Header:
    """What a JPEG 2000 image says itself; raises ``Refusal`` where it is not whole."""
    return jpeg2000.read_header(Source(codec_data(image)))


def describes_itself(image: StoredImage) -> bool:
    """Whether the colours' kind is said by the JPEG 2000 data alone."""
    return image.codec == "/JPXDecode" and "/ColorSpace" not in image.stream


def _one_image(drawing: Drawing, image: StoredImage, page: pikepdf.Page) -> Scan:
    _check_sides(image.width, image.height)
    rotate, unit = _turn_and_unit(page)
    channels, bits, has_icc = image.channels, 16 if image.bits == 16 else 8, image.profile is not None
    if image.space is None:
        bits = 8
    elif image.codec == "/JPXDecode":
        header = jpx_header(image)
        bits = header.bit_depth
        if describes_itself(image):
            channels, has_icc = header.channels, header.metadata.icc is not None
    return Scan(
        image,
        drawing,
        (image,),
        drawing.matrix,
        image.width,
        image.height,
        channels,
        bits,
        orientation(drawing.matrix, rotate),
        resolution(drawing.matrix, image.width, image.height, unit),
        has_icc,
    )


def _taken_together(parts: list[tuple[Drawing, StoredImage]], whole: Box, page: pikepdf.Page) -> Scan:
    """All images as one picture, at the highest resolution that one of them has along and across the page."""
    densities: list[tuple[float, float, float]] = []
    for drawing, image in parts:
        left, bottom, right, top = bounds(drawing.matrix)
        turned = orientation(drawing.matrix, 0) >= 5
        width, height = (image.height, image.width) if turned else (image.width, image.height)
        densities.append((width / (right - left), height / (top - bottom), area(common(drawing.box, whole))))
    least = _PATCH_SHARE * area(whole)
    across = _finest([(density, seen) for density, _, seen in densities], least)
    up = _finest([(density, seen) for _, density, seen in densities], least)
    size = (whole[2] - whole[0], whole[3] - whole[1])
    width, height = max(1, round(size[0] * across)), max(1, round(size[1] * up))
    _check_sides(width, height)
    matrix = (size[0], 0.0, 0.0, size[1], whole[0], whole[1])
    rotate, unit = _turn_and_unit(page)
    tiles = find_tiles(parts, matrix, width, height)
    first = parts[0][1]
    grey = all(image.channels == 1 and image.space is not None for _, image in parts)
    channels = first.channels if tiles else 1 if grey else 3
    return Scan(
        None,
        parts[0][0],
        tuple(image for _, image in parts),
        matrix,
        width,
        height,
        channels,
        16 if tiles and first.bits == 16 else 8,
        orientation(matrix, rotate),
        resolution(matrix, width, height, unit),
        bool(tiles) and first.profile is not None,
        tiles,
    )


def _finest(densities: list[tuple[float, float]], least: float) -> float:
    """The highest density at which, and above which, images have an area of at least ``least`` together."""
    together = 0.0
    for density, seen in sorted(densities, reverse=True):
        together += seen
        if together >= least:
            return density
    return max(densities)[0]


def _nothing(drawn: PageDrawing, damaged: bool) -> str:
    if drawn.has_visible_text:
        return "the page has text but no scan"
    if drawn.lacks_objects:
        raise Refusal("is damaged: a picture that it draws is missing; copy it again from its source", "truncated")
    if drawn.has_lines:
        return "the page has drawn lines but no scan"
    if drawn.images:
        return "the page has only small pictures"
    if drawn.has_text:
        return "the page has hidden text but no scan"
    if damaged:
        raise Refusal("is empty, and the document is damaged: its content may be lost; copy it again", "unreadable")
    return "the page is empty"


def _check_sides(width: int, height: int) -> None:
    if max(width, height) > _MAX_SIDE:
        raise Refusal(f"claims a picture of {width} x {height} pixels, which is too large", "too_large")


def _turn_and_unit(page: pikepdf.Page) -> tuple[int, float]:
    rotate, unit = page.obj.get("/Rotate", 0), numbers([page.obj.get("/UserUnit", 1)], 1)
    turn = rotate if isinstance(rotate, int) else 0
    return turn, unit[0] if unit is not None and 0 < unit[0] < 1e4 else 1.0


def _box(value: pikepdf.Object | None) -> Box | None:
    found = numbers(value, 4)
    if found is None:
        return None
    box = (min(found[0], found[2]), min(found[1], found[3]), max(found[0], found[2]), max(found[1], found[3]))
    return box if 0 < area(box) < 1e14 else None
