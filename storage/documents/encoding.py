"""Pictures as image objects, packed in bands of rows into a PDF that lies in a temporary file."""

import hashlib
import io
import struct
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
import pikepdf
from PIL import Image

from storage.documents.records import PagePicture
from storage.images.rows import Pixels, Rows, bands

DEFAULT_QUALITY = 92
_DEFLATE_LEVEL = 6
_UP_FILTER = 2
_JPEG_LONGEST = 65_500
_LONGEST_INTERVAL = 65_535
_MCU = 8
"""Side of a block; with 4:4:4 sampling a minimum coded unit is one block of each component."""


class PictureStore:
    """Encoded pictures on disk; ``document`` gives them as objects of a PDF that others are made of.

    A document of many pages never has more than one band of one picture in memory.
    """

    def __init__(self, folder: Path) -> None:
        """The file lies in ``folder`` without a name, since it can be as large as the document that is written."""
        self._file: BinaryIO = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by __exit__
        self._offsets: list[int] = []
        self._profiles: dict[bytes, int] = {}
        self._document: pikepdf.Pdf | None = None
        self._file.write(b"%PDF-1.7\n")
        self._object(b"<< /Type /Catalog /Pages 2 0 R >>")
        self._object(b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
        self._object(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << >> >>")  # there must be one

    def __enter__(self) -> "PictureStore":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._document is not None:
            self._document.close()
        self._file.close()

    def add(self, picture: PagePicture, quality: int | None) -> int:
        """Encode a picture; the number of its object."""
        height, width = picture.rows.shape[:2]
        jpeg = not picture.lossless and max(height, width) <= _JPEG_LONGEST
        bits = 16 if picture.rows.dtype == np.uint16 and not jpeg else 8
        profile = self._profile(picture.icc)
        entries = f"/Type /XObject /Subtype /Image /Width {width} /Height {height} /BitsPerComponent {bits}"
        entries += f" /ColorSpace [/ICCBased {profile} 0 R]"
        if jpeg:
            pieces = jpeg_pieces(picture.rows, DEFAULT_QUALITY if quality is None else quality)
            return self._stream(f"{entries} /Filter /DCTDecode", pieces)
        parameters = f"/DecodeParms << /Predictor 15 /Colors 3 /BitsPerComponent {bits} /Columns {width} >>"
        return self._stream(f"{entries} /Filter /FlateDecode {parameters}", flate_pieces(picture.rows))

    def document(self) -> pikepdf.Pdf:
        """All that was added; nothing can be added any more."""
        if self._document is None:
            table = self._file.tell()
            count = len(self._offsets) + 1
            self._file.write(f"xref\n0 {count}\n0000000000 65535 f \n".encode())
            self._file.write(b"".join(b"%010d 00000 n \n" % offset for offset in self._offsets))
            self._file.write(f"trailer\n<< /Size {count} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n".encode())
            self._file.seek(0)
            self._document = pikepdf.open(self._file)
        return self._document

    def _profile(self, icc: bytes) -> int:
        """The number of a profile's object; the same profile is kept once."""
        digest = hashlib.sha256(icc).digest()
        if digest not in self._profiles:
            entries = "/N 3 /Alternate /DeviceRGB /Filter /FlateDecode"
            self._profiles[digest] = self._stream(entries, iter([zlib.compress(icc, 9)]))
        return self._profiles[digest]

    def _object(self, content: bytes) -> int:
        self._offsets.append(self._file.tell())
        number = len(self._offsets)
        self._file.write(b"%d 0 obj\n%s\nendobj\n" % (number, content))
        return number

    def _stream(self, entries: str, pieces: Iterator[bytes]) -> int:
        """A stream whose length is an object of its own that follows it."""
        self._offsets.append(self._file.tell())
        number = len(self._offsets)
        self._file.write(f"{number} 0 obj\n<< {entries} /Length {number + 1} 0 R >>\nstream\n".encode())
        start = self._file.tell()
        for piece in pieces:
            self._file.write(piece)
        length = self._file.tell() - start
        self._file.write(b"\nendstream\nendobj\n")
        self._object(b"%d" % length)
        return number


def flate_pieces(rows: Rows) -> Iterator[bytes]:
    """Rows with PNG's "Up" predictor, packed by zlib."""
    packer = zlib.compressobj(_DEFLATE_LEVEL)
    before: Pixels | None = None
    for _, band in bands(rows):
        stored = band if band.dtype == np.uint8 else band.astype(">u2")
        lines = np.ascontiguousarray(stored).reshape(band.shape[0], -1).view(np.uint8)
        predicted = np.empty((lines.shape[0], lines.shape[1] + 1), np.uint8)
        predicted[:, 0] = _UP_FILTER
        np.subtract(lines[1:], lines[:-1], out=predicted[1:, 1:])
        predicted[0, 1:] = lines[0] if before is None else lines[0] - before
        before = lines[-1].copy()
        yield packer.compress(predicted.data)
    yield packer.flush()


def jpeg_pieces(rows: Rows, quality: int) -> Iterator[bytes]:
    """One baseline JPEG (ISO/IEC 10918-1) 4:4:4, of bands encoded apart and joined by restart markers (B.2.4.4).

    Every band has the same tables; each is one restart interval, before which prediction starts anew.
    """
    height, width = rows.shape[:2]
    across = -(-width // _MCU)
    deep = max(1, min(_LONGEST_INTERVAL // across, (1 << 20) // (across * _MCU * _MCU)))
    for number, top in enumerate(range(0, height, deep * _MCU)):
        band = rows[top : min(top + deep * _MCU, height)]
        head, scan = _split(_encoded(_eight_bits(band), quality))
        if number:
            yield bytes([0xFF, 0xD0 + (number - 1) % 8])
        else:
            yield _whole_head(head, height, across * deep)
        yield scan
    yield b"\xff\xd9"


def _encoded(band: Pixels, quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(band)).save(file, "JPEG", quality=quality, subsampling=0, optimize=False)
    return file.getvalue()


def _split(stream: bytes) -> tuple[list[bytes], bytes]:
    """The segments up to and with the scan's header, and the scan without the end mark."""
    segments, position = [], 2
    while True:
        length = struct.unpack_from(">H", stream, position + 2)[0]
        segments.append(stream[position : position + 2 + length])
        position += 2 + length
        if segments[-1][1] == 0xDA:
            return segments, stream[position:-2]


def _whole_head(segments: list[bytes], height: int, interval: int) -> bytes:
    """The first band's segments as those of the whole picture: its height, and the restart interval."""
    head = b"\xff\xd8"
    for segment in segments:
        if segment[1] == 0xC0:
            segment = segment[:5] + struct.pack(">H", height) + segment[7:]
        if segment[1] == 0xDA:
            head += struct.pack(">BBHH", 0xFF, 0xDD, 4, interval)
        head += segment
    return head


def _eight_bits(band: Pixels) -> Pixels:
    return band if band.dtype == np.uint8 else ((band.astype(np.uint32) + 128) // 257).astype(np.uint8)
