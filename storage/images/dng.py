"""DNG 1.x, the open form of a camera's raw file: tags read here, pixels developed by LibRaw, always alike."""

from functools import cache
from io import BytesIO

import numpy as np
import rawpy

from storage.images.exif import build_exif, read_exif
from storage.images.ifd import Directory, Layout, little_endian, numbers, read_directory, read_layout
from storage.images.metadata import collect_metadata
from storage.images.records import Header, Pixels, Refusal, Samples
from storage.images.source import Source

DNG_VERSION = 50706
"""The tag by which a DNG is told from other files of the TIFF family."""
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES = 254, 256, 257, 258, 259, 262, 277
_XMP, _IPTC, _SUB_IFDS = 700, 33723, 330
_BLOCKS = ((324, 325), (273, 279))
_SCALE, _CROP_ORIGIN, _CROP_SIZE, _ACTIVE_AREA = 50718, 50719, 50720, 50829
_COLOUR_FILTERS, _LINEAR = 32803, 34892
_MAX_DIRECTORIES = 64
_MAX_SAMPLES = 16
_MAX_BLOCKS = 1 << 21
_MAX_METADATA_BYTES = 1 << 24
_OTHER_RAW = "is a camera's raw file of a kind that is not read here; convert it to DNG or develop it to TIFF"
_DAMAGED = "has a damaged DNG header"


class _Raw:
    """The directory with the raw picture, and the parts of it that are the picture; sizes in pixels."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.layout, self.first = read_layout(source)
        self.main = read_directory(source, self.layout, self.first)
        if DNG_VERSION not in self.main.entries:
            raise Refusal(_OTHER_RAW, "unsupported")
        self.directory = self._raw_directory()
        width, height = self._one(_WIDTH), self._one(_HEIGHT)
        if not width or not height:
            raise Refusal(_DAMAGED, "unreadable")
        area = self._whole_numbers(_ACTIVE_AREA, 4) or (0, 0, height, width)
        top, left, bottom, right = area if len(area) == 4 else (0, 0, 0, 0)
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise Refusal(_DAMAGED, "unreadable")
        self.active = (bottom - top, right - left)
        """Height and width of what LibRaw develops: without the sensor's masked edges."""
        self.crop = self._crop()
        """Rows and columns of that which are to be shown."""
        if any(abs(value - 1) > 1e-6 for value in self._numbers(_SCALE, 2)):
            raise Refusal("is a DNG of pixels that are not square; develop it to TIFF", "unsupported")
        self.linear = self._one(_PHOTOMETRIC) == _LINEAR
        self.channels = 1 if self.linear and self._one(_SAMPLES, 1) == 1 else 3
        self.bytes = self._checked_blocks()
        plain = self._one(_COMPRESSION, 1) == 1
        self.least_bytes = width * height * self._one(_SAMPLES, 1) * self._one(_BITS, 1) // 8 if plain else 0
        if self.bytes < self.least_bytes:  # LibRaw would make the rest black and say nothing
            raise Refusal("is cut off: part of the picture is missing; copy it again from its source", "truncated")

    def _raw_directory(self) -> Directory:
        """The main picture's directory (DNG 1.7, "SubIFD Trees"): the first, or one below it."""
        below = self._numbers(_SUB_IFDS, _MAX_DIRECTORIES, self.main)
        for directory in (self.main, *(read_directory(self._source, self.layout, int(place)) for place in below)):
            if self._one(_SUBFILE, 0, directory) == 0 and _PHOTOMETRIC in directory.entries:
                if self._one(_PHOTOMETRIC, 0, directory) not in (_COLOUR_FILTERS, _LINEAR):
                    break
                return directory
        raise Refusal("is a DNG without a raw picture, which is not read here; develop it to TIFF", "unsupported")

    def _crop(self) -> tuple[slice, slice]:
        height, width = self.active
        size, origin = self._numbers(_CROP_SIZE, 2), self._numbers(_CROP_ORIGIN, 2)
        if len(size) < 2:
            return slice(0, height), slice(0, width)
        left, top = (round(value) for value in origin) if len(origin) == 2 else (0, 0)
        across, down = (round(value) for value in size)
        if across < 1 or down < 1 or left < 0 or top < 0 or top + down > height or left + across > width:
            raise Refusal(_DAMAGED, "unreadable")
        return slice(top, top + down), slice(left, left + across)

    def _checked_blocks(self) -> int:
        """Bytes of all strips or tiles, each of which lies in the file."""
        for offsets_tag, counts_tag in _BLOCKS:
            offsets = self._whole_numbers(offsets_tag, _MAX_BLOCKS)
            counts = self._whole_numbers(counts_tag, _MAX_BLOCKS)
            if offsets and len(offsets) == len(counts):
                if any(offset + count > self._source.size for offset, count in zip(offsets, counts, strict=True)):
                    raise Refusal(
                        "is cut off: part of the picture is missing; copy it again from its source", "truncated"
                    )
                return sum(counts)
        raise Refusal("is cut off or damaged: its list of strips is incomplete", "truncated")

    def _numbers(self, tag: int, most: int, directory: Directory | None = None) -> tuple[float, ...]:
        entry = (directory or self.directory).entries.get(tag)
        if entry is None:
            return ()
        if entry.count > most:
            raise Refusal(_DAMAGED, "unreadable")
        return numbers(self._source, self.layout, entry)

    def _whole_numbers(self, tag: int, most: int) -> tuple[int, ...]:
        return tuple(int(value) for value in self._numbers(tag, most))

    def _one(self, tag: int, default: int = 0, directory: Directory | None = None) -> int:
        """The first of a tag's numbers; only the bits a sample may be several."""
        values = self._numbers(tag, _MAX_SAMPLES, directory)
        return int(values[0]) if values else default


def is_dng(source: Source) -> bool:
    """Whether a file of the TIFF family says that it is a DNG; raises ``Refusal`` if its first tags are damaged."""
    layout, first = read_layout(source)
    return DNG_VERSION in read_directory(source, layout, first).entries


def read_header(source: Source) -> Header:
    """Size as shown (the default crop), orientation and metadata; raises ``Refusal`` if it is damaged or cut off."""
    raw = _Raw(source)
    rows, columns = raw.crop
    return Header(
        "dng",
        columns.stop - columns.start,
        rows.stop - rows.start,
        raw.channels,
        16,
        metadata=collect_metadata(
            exif_block=build_exif(read_exif(source, raw.layout, raw.first)),
            xmp=_bytes_of(source, raw.layout, raw.main, _XMP),
            iptc=_bytes_of(source, raw.layout, raw.main, _IPTC),
            icc=None,  # what is developed here is sRGB
        ),
        pixel_bytes=raw.bytes,
        least_bytes=raw.least_bytes,
    )


def decode(data: bytes) -> Samples:
    """The picture developed to 16-bit sRGB in rows as stored: white balance as shot, no brightening, no sharpening.

    The scale from black to white level depends on the tags alone and not on what the picture shows. Lens
    corrections that the file asks for (opcode lists) are not made.
    """
    raw = _Raw(Source(data))
    try:
        with rawpy.imread(BytesIO(data)) as picture:
            black = picture.black_level_per_channel[:3]
            # LibRaw scales by the full white level where only the fourth channel, which is not there, has no black.
            same = raw.linear and len(set(black)) == 1
            linear: Pixels = picture.postprocess(
                user_black=black[0] if same else None,
                user_cblack=[0, 0, 0, 0] if same else None,
                demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,
                use_camera_wb=True,
                no_auto_bright=True,
                adjust_maximum_thr=0.0,
                highlight_mode=rawpy.HighlightMode.Clip,
                user_flip=0,
                output_color=rawpy.ColorSpace.sRGB,
                output_bps=16,
                gamma=(1, 1),
            )
    except rawpy.LibRawFileUnsupportedError as error:
        raise Refusal(_OTHER_RAW, "unsupported") from error
    except rawpy.LibRawError as error:
        raise Refusal("is damaged and cannot be developed; copy it again from its source", "unreadable") from error
    if linear.shape[:2] != raw.active:
        raise Refusal("is damaged: its raw picture does not have the size its header says", "unreadable")
    colour = _srgb_curve()[linear[raw.crop]]
    if raw.channels == 1:
        return Samples(np.ascontiguousarray(colour[..., 0]), "grey")
    return Samples(colour, "rgb")


def _bytes_of(source: Source, layout: Layout, directory: Directory, tag: int) -> bytes | None:
    entry = directory.entries.get(tag)
    if entry is None or not 0 < entry.size <= _MAX_METADATA_BYTES:
        return None
    return little_endian(source, layout, entry)


@cache
def _srgb_curve() -> Pixels:
    """IEC 61966-2-1's curve from linear to encoded, 16 bits to 16 bits; LibRaw's own is only near it."""
    linear = np.arange(65536) / 65535
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    table: Pixels = np.rint(65535 * encoded).astype(np.uint16)
    return table
