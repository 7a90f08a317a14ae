"""JPEG 2000 (ISO/IEC 15444-1): codestreams checked marker by marker, pixels through OpenJPEG."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import imagecodecs
import numpy as np

from storage.decoding.progress import working
from storage.images.jpeg2000_boxes import (
    COLOURS,
    CUT_OFF,
    EXIF_UUID,
    SIGNATURE,
    UNLIKE_CHANNELS,
    XMP_UUID,
    Boxes,
    Channels,
    channels_of,
    read_boxes,
)
from storage.images.jpeg2000_tiles import Grid, can_be_divided, rows_of_tiles
from storage.images.metadata import collect_metadata
from storage.images.records import Header, Pixels, Refusal, Samples
from storage.images.source import Source

_SOC, _SIZ, _COD, _COC, _SOT, _SOD, _EOC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9
_PART_2 = 0x8000
_MAX_COMPONENTS = 6
_MAX_TILES = 1 << 14
"""Far more than scans have; the decoder keeps a record of some 10 KB for each."""
_MAX_TILE_PARTS = 1 << 18
_MAX_MARKERS = 1 << 16
_MAX_PARTS_OF_A_TILE = 1 << 22
"""Precincts and code-blocks, each of which costs the decoder some 100 to 300 bytes."""
_MAX_PACKETS = 1 << 26
_LEAST_TILE_PART = 14
_SAMPLINGS = (((1, 1), (2, 1), (2, 1)), ((1, 1), (2, 2), (2, 2)))
"""What of the components' steps across and down the decoder can handle besides none."""
_BAND_PIXELS = 1 << 20
_DAMAGED = "has a damaged JPEG 2000 header"


@dataclass
class _Codestream:
    """What SIZ says (A.5.1), where the codestream lies and which tile-parts were found; sizes in pixels."""

    offset: int
    end: int
    width: int
    height: int
    tile_width: int
    tile_height: int
    tiles: int
    grid: Grid
    depths: tuple[int, ...]
    steps: tuple[tuple[int, int], ...]
    body: int = 0  # where the main header ends
    found: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # tile: where its tile-parts lie
    promised: dict[int, int] = field(default_factory=dict)  # tile: tile-parts that it is said to have

    @property
    def subsampled(self) -> bool:
        """Whether some components have fewer samples than the picture has pixels."""
        return set(self.steps) != {(1, 1)}


def read_header(source: Source) -> Header:
    """Size, depth and metadata of a JP2 or JPX file or a codestream.

    Raises ``Refusal`` for what is damaged, is not read here, or lacks a tile, a tile-part or the end mark.
    """
    boxes, stream, channels = _read(source)
    metadata = collect_metadata(
        exif_block=boxes.uuids.get(EXIF_UUID),
        xmp=boxes.uuids.get(XMP_UUID),
        icc=boxes.icc,
        iptc=boxes.iptc,
        ppi=boxes.ppi,
        notes=boxes.notes + channels.notes,
    )
    return Header(
        "jpeg2000",
        stream.width,
        stream.height,
        COLOURS[channels.space],
        16 if channels.bits > 8 else 8,
        metadata=metadata,
        pixel_bytes=stream.end - stream.offset,
        least_bytes=stream.tiles * _LEAST_TILE_PART,
    )


def bands(source: Source) -> Iterator[Samples]:
    """The picture's samples from the top, in one band or one for each row of tiles.

    Fewer than 8 bits become 8, and 9 to 15 become 16, both over the full range; sYCC becomes RGB. Raises
    ``Refusal`` as ``read_header`` does, and "unreadable" if the coded data are damaged.
    """
    boxes, stream, channels = _read(source)
    try:
        for decoded in _decoded(source, stream):
            if decoded.shape[1:] != (stream.width, *((len(stream.depths),) if len(stream.depths) > 1 else ())):
                raise Refusal(f"{_DAMAGED}: its picture does not have the size it says", "unreadable")
            yield _samples(decoded, boxes, stream, channels)
    except (RuntimeError, ValueError, NotImplementedError) as error:
        raise Refusal("is damaged: its JPEG 2000 data cannot be decoded; copy it again", "unreadable") from error


def decode(data: bytes) -> Samples:
    """The whole picture's samples; raises ``Refusal`` as ``bands`` does."""
    found = list(bands(Source(data)))
    if len(found) == 1:
        return found[0]
    alphas = [band.alpha for band in found if band.alpha is not None]
    alpha = np.concatenate(alphas) if alphas else None
    return replace(found[0], colour=np.concatenate([band.colour for band in found]), alpha=alpha)


def _decoded(source: Source, stream: _Codestream) -> Iterator[Pixels]:
    """Components as coded; the codestream alone is decoded: what the boxes say is done here, and exactly."""
    main_header = source.read(stream.offset, stream.body - stream.offset)
    if stream.tiles > 1 and not stream.subsampled and can_be_divided(main_header):
        parts = [stream.found[tile] for tile in range(stream.tiles)]
        for row in rows_of_tiles(source, main_header, stream.grid, parts):
            working(row.shape[0] * row.shape[1])
            yield row
        return
    working(stream.width * stream.height)
    decoded: Pixels = imagecodecs.jpeg2k_decode(source.read(stream.offset, stream.end - stream.offset))
    if decoded.shape[0] != stream.height:
        raise Refusal(f"{_DAMAGED}: its picture does not have the size it says", "unreadable")
    yield decoded


def _samples(decoded: Pixels, boxes: Boxes, stream: _Codestream, channels: Channels) -> Samples:
    components = decoded[..., np.newaxis] if decoded.ndim == 2 else decoded
    alpha = None
    if channels.alpha is not None:
        alpha = _scaled(_selected(components, boxes, channels, (channels.alpha,)), channels.bits)[..., 0]
    colour = _selected(components, boxes, channels, channels.colours)
    if channels.space == "sycc" and not stream.subsampled:
        colour = _rgb_of_sycc(colour, channels.bits)
    colour = _scaled(colour, channels.bits)
    if channels.space == "grey":
        return Samples(colour[..., 0], "grey", alpha, channels.premultiplied)
    return Samples(colour, "cmyk" if channels.space == "cmyk" else "rgb", alpha, channels.premultiplied)


def _read(source: Source) -> tuple[Boxes, _Codestream, Channels]:
    if source.read(0, min(len(SIGNATURE), source.size)) == SIGNATURE:
        boxes = read_boxes(source)
    else:
        boxes = Boxes(offset=0, length=source.size)
    stream = _read_codestream(source, boxes.offset, boxes.offset + boxes.length)
    if boxes.size is not None and boxes.size != (stream.width, stream.height):
        raise Refusal(f"{_DAMAGED}: it gives two different sizes", "unreadable")
    return boxes, stream, channels_of(boxes, stream.depths, subsampled=stream.subsampled)


def _selected(components: Pixels, boxes: Boxes, channels: Channels, wanted: tuple[int, ...]) -> Pixels:
    """Channels as (H, W, channels), through the palette where there is one; a view where that can be."""
    sources = [channels.sources[channel] for channel in wanted]
    if all(column is None for _, column in sources):
        order = [component for component, _ in sources]
        if order == list(range(order[0], order[0] + len(order))):
            return components[..., order[0] : order[0] + len(order)]
        return components[..., order]
    assert boxes.palette is not None
    result = np.empty((*components.shape[:2], len(sources)), boxes.palette.dtype)
    for place, (component, column) in enumerate(sources):
        values = components[..., component]
        if column is not None:
            values = np.take(boxes.palette[:, column], values, mode="clip")
        result[..., place] = values
    return result


def _scaled(values: Pixels, bits: int) -> Pixels:
    """Samples of 1 to 16 bits over the full range of 8 or 16, each the nearest there is."""
    if bits in (8, 16):
        return values
    most, full = (1 << bits) - 1, 255 if bits < 8 else 65535
    table = (2 * full * np.arange(most + 1, dtype=np.int64) + most) // (2 * most)
    return np.take(table.astype(np.uint8 if bits < 8 else np.uint16), values, mode="clip")


def _rgb_of_sycc(ycc: Pixels, bits: int) -> Pixels:
    """sYCC to sRGB at the same depth (IEC 61966-2-1 Annex F: the matrix of ITU-R BT.601)."""
    most, half = (1 << bits) - 1, 1 << (bits - 1)
    rgb = np.empty_like(ycc)
    rows = max(1, _BAND_PIXELS // ycc.shape[1])
    for top in range(0, ycc.shape[0], rows):
        luma, blue, red = (ycc[top : top + rows, :, place].astype(np.float32) for place in range(3))
        blue -= half
        red -= half
        mixed = (luma + 1.402 * red, luma - 0.344136 * blue - 0.714136 * red, luma + 1.772 * blue)
        for place, values in enumerate(mixed):
            rgb[top : top + rows, :, place] = np.clip(np.rint(values), 0, most)
    return rgb


def _read_codestream(source: Source, start: int, limit: int) -> _Codestream:
    """Follow the markers of the main header and of every tile-part to the end mark."""

    def read(offset: int, length: int) -> bytes:
        if offset + length > limit:
            raise Refusal(CUT_OFF, "truncated")
        return source.read(offset, length)

    if read(start, 2) != _SOC.to_bytes(2, "big"):
        raise Refusal(_DAMAGED, "unreadable")
    stream: _Codestream | None = None
    coded, position = False, start + 2
    for number in range(_MAX_MARKERS):
        marker, length = struct.unpack(">HH", read(position, 4))
        if (marker == _SIZ) != (number == 0) or marker < 0xFF30 or (length < 2 and marker != _SOT):
            raise Refusal(f"{_DAMAGED}: its markers do not follow each other", "unreadable")
        if marker == _SOT:
            break
        body = read(position + 4, length - 2)
        if marker == _SIZ:
            stream = _image_size(body, start)
        elif marker in (_COD, _COC):
            assert stream is not None
            coded = coded or marker == _COD
            _check_coding(stream, marker, body)
        position += 2 + length
    if stream is None or not coded:
        raise Refusal(f"{_DAMAGED}: it does not say how it is coded", "unreadable")
    stream.body = position
    for _ in range(_MAX_TILE_PARTS):
        marker = int.from_bytes(read(position, 2), "big")
        if marker == _EOC:
            stream.end = position + 2
            _check_tiles(stream)
            return stream
        if marker != _SOT:
            raise Refusal("is damaged: its JPEG 2000 tiles do not follow each other; copy it again", "unreadable")
        position = _tile_part(stream, read, position, limit)
    raise Refusal(f"{_DAMAGED}: it has too many tile-parts", "unreadable")


def _image_size(body: bytes, start: int) -> _Codestream:
    """The SIZ segment (A.5.1): sizes on the reference grid, of the picture and of its tiles, and the components."""
    if len(body) < 36:
        raise Refusal(_DAMAGED, "unreadable")
    capabilities, right, bottom, left, top, *tile, count = struct.unpack_from(">H8IH", body)
    tile_width, tile_height, tile_left, tile_top = tile
    if len(body) != 36 + 3 * count or not (left < right and top < bottom and tile_width and tile_height):
        raise Refusal(_DAMAGED, "unreadable")
    if not (tile_left <= left < tile_left + tile_width and tile_top <= top < tile_top + tile_height):
        raise Refusal(_DAMAGED, "unreadable")
    if capabilities & _PART_2 or not 1 <= count <= _MAX_COMPONENTS:
        what = f"with {count} channels" if not capabilities & _PART_2 else "with extensions (ISO/IEC 15444-2)"
        raise Refusal(f"is a JPEG 2000 picture {what}, which is not read here; convert it to TIFF", "unsupported")
    tiles = -((tile_left - right) // tile_width) * -((tile_top - bottom) // tile_height)
    if tiles > _MAX_TILES:
        raise Refusal(
            f"is a JPEG 2000 picture of {tiles:,} tiles, which are too many; save it with larger ones", "too_large"
        )
    components = list(struct.iter_unpack("BBB", body[36:]))
    if len({depth for depth, _, _ in components}) != 1 or components[0][0] > 15:
        raise Refusal(UNLIKE_CHANNELS, "unsupported")
    steps = tuple((across, down) for _, across, down in components)
    if steps not in _SAMPLINGS and set(steps) != {(1, 1)}:
        raise Refusal(
            "is a JPEG 2000 picture whose channels differ in size, which is not read here; convert it to TIFF",
            "unsupported",
        )
    return _Codestream(
        offset=start,
        end=start,
        width=right - left,
        height=bottom - top,
        tile_width=min(tile_width, right - left),
        tile_height=min(tile_height, bottom - top),
        tiles=tiles,
        grid=Grid(left, top, right, bottom, tile_left, tile_top, tile_width, tile_height),
        depths=tuple(depth + 1 for depth, _, _ in components),
        steps=steps,
    )


def _check_coding(stream: _Codestream, marker: int, body: bytes) -> None:
    """Refuse a coding style (COD A.6.1, COC A.6.2) that would have the decoder keep millions of records a tile."""
    layers = int.from_bytes(body[2:4], "big") if marker == _COD else 1
    start = 5 if marker == _COD else 2
    if len(body) < start + 5:
        raise Refusal(_DAMAGED, "unreadable")
    style = body[0] if marker == _COD else body[1]
    levels, block_width, block_height = body[start], body[start + 1] + 2, body[start + 2] + 2
    sizes = body[start + 5 :] if style & 1 else bytes((0xFF,)) * (levels + 1)
    if levels > 32 or len(sizes) < levels + 1 or block_width + block_height > 12:
        raise Refusal(_DAMAGED, "unreadable")
    precincts = blocks = 0
    for resolution in range(levels + 1):
        scale = levels - resolution
        width, height = (-(-side >> scale) for side in (stream.tile_width, stream.tile_height))
        across, down = sizes[resolution] & 15, sizes[resolution] >> 4
        precincts += ((width >> across) + 2) * ((height >> down) + 2)
        half = 1 if resolution else 0  # a precinct covers half as much of each of its sub-bands
        block = min(block_width, max(across - half, 0)) + min(block_height, max(down - half, 0))
        blocks += width * height >> block
    if (precincts + blocks) * len(stream.depths) > _MAX_PARTS_OF_A_TILE or precincts * layers > _MAX_PACKETS:
        raise Refusal(
            "is a JPEG 2000 picture coded in absurdly small parts, which is not read here; convert it to TIFF",
            "unsupported",
        )


def _tile_part(stream: _Codestream, read: Callable[[int, int], bytes], position: int, limit: int) -> int:
    """Check one tile-part (A.4.2) and give where the next begins."""
    size, tile, length, part, parts = struct.unpack(">HHIBB", read(position + 2, 10))
    if size != 10 or tile >= stream.tiles or (length and length < _LEAST_TILE_PART):
        raise Refusal("is damaged: its JPEG 2000 tiles do not follow each other; copy it again", "unreadable")
    if part != len(stream.found.get(tile, ())):
        raise Refusal("is damaged: a part of a JPEG 2000 tile is missing; copy it again from its source", "truncated")
    if parts:
        stream.promised[tile] = parts
    end = position + length if length else limit - 2  # 0: up to the end mark, which nothing may follow
    if end > limit:
        raise Refusal(CUT_OFF, "truncated")
    header = position + 12
    for _ in range(_MAX_MARKERS):
        marker = int.from_bytes(read(header, 2), "big")
        if marker == _SOD:
            break
        segment = int.from_bytes(read(header + 2, 2), "big")
        if marker < 0xFF30 or segment < 2 or header + 2 + segment > end:
            raise Refusal("is damaged: its JPEG 2000 tiles do not follow each other; copy it again", "unreadable")
        if marker in (_COD, _COC):
            _check_coding(stream, marker, read(header + 4, segment - 2))
        header += 2 + segment
    if header + 2 > end:
        raise Refusal(CUT_OFF, "truncated")
    stream.found.setdefault(tile, []).append((position, end))
    return end


def _check_tiles(stream: _Codestream) -> None:
    if len(stream.found) != stream.tiles:
        missing = stream.tiles - len(stream.found)
        raise Refusal(
            f"is cut off: {missing:,} of {stream.tiles:,} JPEG 2000 tiles are missing; copy it again from its source",
            "truncated",
        )
    if any(len(stream.found[tile]) < parts for tile, parts in stream.promised.items()):
        raise Refusal(CUT_OFF, "truncated")
