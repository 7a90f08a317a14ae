"""The samples of one stored image, as its dictionary means them."""

import imagecodecs
import numpy as np
import pikepdf

from storage.documents import jbig2
from storage.documents.filters import codec_data, predicted_bytes, undo_predictor, unpack
from storage.documents.rendering import render_image
from storage.documents.scans import describes_itself
from storage.documents.stored_images import ColourSpace, StoredImage
from storage.images import jpeg, jpeg2000
from storage.images.records import Pixels, Refusal, Samples
from storage.images.source import Source

_SIZE_DIFFERS = "is damaged: a picture does not have the size that the document says; copy it again from its source"
_CUT_OFF = "is cut off or damaged: a part of a picture is missing; copy it again from its source"
_FILLING = (b"\x35\xac\x53\xca" * 64, b"\0" * 256)
"""Bits of the middle of a picture in CCITT code, and none at all."""


def decode(pdf: pikepdf.Pdf, image: StoredImage) -> tuple[Samples, bytes | None]:
    """The samples as stored, few bits as 8, and their ICC profile; raises ``Refusal`` where they are not all there.

    What has no place in grey, RGB or CMYK is drawn by pdfium as RGB. The size must have been found bearable before.
    """
    data, codec = codec_data(image), image.codec
    parameters = image.parameters[-1] if image.parameters else None
    profile = image.profile
    if codec == "/JPXDecode":
        return _jpx(pdf, image, data)
    if codec == "/DCTDecode":
        samples = _dct(image, data, parameters)
    elif codec == "/JBIG2Decode":
        jbig2.check(data)
        samples = None
    elif codec == "/CCITTFaxDecode":
        samples = _ccitt(image, data, parameters)
    elif image.space is not None:
        samples = _meaning(_plain(image, image.space, codec, data, parameters), image, image.space)
    else:
        samples = None
    if samples is None:
        return _drawn(pdf, image)
    return samples, profile


def _drawn(pdf: pikepdf.Pdf, image: StoredImage) -> tuple[Samples, bytes | None]:
    grey = image.space is not None and image.channels == 1
    picture = render_image(pdf, image.stream, image.width, image.height, grey=grey)
    return Samples(picture, "grey" if grey else "rgb"), None


def _jpx(pdf: pikepdf.Pdf, image: StoredImage, data: bytes) -> tuple[Samples, bytes | None]:
    header = jpeg2000.read_header(Source(data))
    if (header.width, header.height) != (image.width, image.height):
        raise Refusal(_SIZE_DIFFERS, "unreadable")
    samples = jpeg2000.decode(data)
    if describes_itself(image):
        return _without_alpha(samples), header.metadata.icc
    if image.space is None or image.space.palette is not None or header.channels != image.channels:
        return _drawn(pdf, image)
    return _without_alpha(samples), image.profile


def _without_alpha(samples: Samples) -> Samples:
    """PDF takes no notice of opacity inside the data unless it is told to."""
    return Samples(samples.colour, samples.space)


def _dct(image: StoredImage, data: bytes, parameters: pikepdf.Dictionary | None) -> Samples | None:
    """A JPEG's samples; ``None`` where they do not fit the colour space and have to be drawn."""
    if jpeg.frame_size(data) != (image.width, image.height):
        raise Refusal(_SIZE_DIFFERS, "unreadable")
    if parameters is not None and parameters.get("/ColorTransform") == 0 and b"Adobe\0" not in data[:4096]:
        # the transform is said in the document only; as a segment of the JPEG it is understood by the decoder
        data = data[:2] + b"\xff\xee\0\x0eAdobe\0\x64" + bytes(5) + data[2:]
    samples = jpeg.decode(data)
    if image.space is None or image.space.palette is not None or samples.space != image.space.kind:
        return None
    colour = samples.colour
    if samples.space == "cmyk":
        colour = 255 - colour  # what decoded to ink by Adobe's custom is taken as stored; /Decode says the rest
    return _meaning(colour, image, image.space)


def _ccitt(image: StoredImage, data: bytes, parameters: pikepdf.Dictionary | None) -> Samples | None:
    """Group 4 samples; ``None`` for what is left to pdfium: Group 3, and rows that begin at bytes."""
    parameters = pikepdf.Dictionary() if parameters is None else parameters
    k, columns = parameters.get("/K", 0), parameters.get("/Columns", 1728)
    aligned = parameters.get("/EncodedByteAlign", False) is True
    if not isinstance(k, int) or k >= 0 or aligned or columns != image.width or image.space is None:
        return None
    shape = (image.height, image.width)
    black = np.asarray(imagecodecs.ccittfax4_decode(data, *shape)).reshape(shape)
    # The decoder leaves missing rows white and says nothing. Where more bits change the picture, it was not whole.
    for filling in _FILLING:
        if not np.array_equal(black, np.asarray(imagecodecs.ccittfax4_decode(data + filling, *shape)).reshape(shape)):
            raise Refusal(_CUT_OFF, "truncated")
    stored = black if parameters.get("/BlackIs1", False) is True else 1 - black
    return _meaning(stored.astype(np.uint8), image, image.space)


def _plain(
    image: StoredImage, space: ColourSpace, codec: str, data: bytes, parameters: pikepdf.Dictionary | None
) -> Pixels:
    """Samples that lie in rows of bits, (H, W) or (H, W, channels), with their own range."""
    count = 1 if space.palette is not None else space.channels
    row_bytes = (image.width * count * image.bits + 7) // 8
    if codec:
        data = unpack(data, codec, parameters, max(predicted_bytes(parameters, row_bytes, image.height) * 2, 1 << 16))
    if codec in ("/FlateDecode", "/LZWDecode"):
        data = undo_predictor(data, parameters, row_bytes, image.height)
    if len(data) < row_bytes * image.height:
        raise Refusal(_CUT_OFF, "truncated")
    shape = (image.height, image.width, count)
    if image.bits >= 8:
        stored = np.frombuffer(data, f">u{image.bits // 8}", image.height * image.width * count).reshape(shape)
        stored = stored.astype(stored.dtype.newbyteorder("="))
    else:
        packed = np.frombuffer(data, np.uint8, image.height * row_bytes).reshape(image.height, row_bytes)
        stored = _spread(packed, image.bits)[:, : image.width * count].reshape(shape)
    return stored[..., 0] if count == 1 else stored


def _spread(packed: Pixels, bits: int) -> Pixels:
    """(rows, bytes) of packed samples as one sample a byte, high bits first."""
    if bits == 1:
        return np.unpackbits(packed, axis=1)
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return ((packed[:, :, np.newaxis] >> shifts) & ((1 << bits) - 1)).reshape(packed.shape[0], -1)


def _meaning(stored: Pixels, image: StoredImage, space: ColourSpace) -> Samples | None:
    """Stored numbers as colours: palette looked up, /Decode applied, few bits spread over 0..255."""
    top = (1 << image.bits) - 1
    if space.palette is not None:
        if image.decode is not None and image.decode[:2] != (0.0, float(top)):
            return None
        table = np.zeros((256, space.channels), np.uint8)
        colours = np.frombuffer(space.palette, np.uint8)
        colours = colours[: colours.size // space.channels * space.channels].reshape(-1, space.channels)
        table[: len(colours)] = colours
        return _samples(table[stored] if space.channels > 1 else table[stored][..., 0], space)
    full = np.uint16 if image.bits == 16 else np.uint8
    colour = stored if image.bits >= 8 else (stored * (255 // top)).astype(np.uint8)
    return _samples(_decoded(colour, image.decode, space.channels, np.iinfo(full).max), space)


def _decoded(colour: Pixels, decode: tuple[float, ...] | None, channels: int, top: int) -> Pixels:
    """/Decode (8.9.5.2) applied: a straight line from its first number to its second, for each channel."""
    if decode is None or len(decode) < 2 * channels or decode[: 2 * channels] == (0.0, 1.0) * channels:
        return colour
    if decode[: 2 * channels] == (1.0, 0.0) * channels:
        return np.subtract(top, colour, dtype=colour.dtype)
    planes = colour if colour.ndim == 3 else colour[..., np.newaxis]
    steps = np.arange(top + 1) / top
    found = np.empty_like(planes)
    for channel in range(channels):
        low, high = decode[2 * channel : 2 * channel + 2]
        table = np.clip(np.rint((low + steps * (high - low)) * top), 0, top).astype(colour.dtype)
        found[..., channel] = table[planes[..., channel]]
    return found if colour.ndim == 3 else found[..., 0]


def _samples(colour: Pixels, space: ColourSpace) -> Samples:
    return Samples(np.ascontiguousarray(colour), space.kind)
