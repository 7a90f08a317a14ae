"""TIFF files made byte by byte, as no library writes them, and the Exif data of a page."""

import io
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from storage.images.exif import Exif, Field

CAMERA = Exif(
    image={274: Field(3, 1, b"\1\0"), 270: Field(2, 6, b"house\0")},
    exif={
        36864: Field(7, 4, b"0232"),
        37121: Field(7, 4, b"\1\2\3\0"),
        36867: Field(2, 20, b"1936:04:01 10:00:00\0"),
        40960: Field(7, 4, b"0100"),
        40961: Field(3, 1, b"\1\0"),
    },
    gps={0: Field(1, 4, b"\2\3\0\0"), 1: Field(2, 2, b"N\0"), 2: Field(5, 3, struct.pack("<6I", 36, 1, 30, 1, 0, 1))},
    interop={1: Field(2, 4, b"R98\0"), 2: Field(7, 4, b"0100")},
)
SHORT, LONG, UNDEFINED = 3, 4, 7
_SIZES = {1: "B", 2: "B", 6: "b", SHORT: "H", LONG: "I", UNDEFINED: "B"}
Tags = Mapping[int, tuple[int, Sequence[int]]]


def crafted(
    path: Path, order: str, pages: Sequence[tuple[Tags, bytes]], below: Mapping[int, Tags] | None = None
) -> None:
    """A classic TIFF, byte by byte: tags as (type, items) and the one strip of each page.

    An item -1 is the offset of the strip; ``below`` are directories without strips that a tag of the first page
    points to.
    """
    file = io.BytesIO()
    file.write({"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HI", 42, 0))
    link = 4

    def directory(tags: Tags, strip: int) -> tuple[int, int]:
        entries = b""
        for tag in sorted(tags):
            kind, items = tags[tag]
            value = struct.pack(
                f"{order}{len(items)}{_SIZES[kind]}", *(strip if item == -1 else item for item in items)
            )
            if len(value) > 4:
                at = file.seek(0, 2)
                file.write(value + bytes(len(value) % 2))
                value = struct.pack(order + "I", at)
            entries += struct.pack(order + "HHI", tag, kind, len(items)) + value.ljust(4, b"\0")
        at = file.seek(0, 2)
        file.write(struct.pack(order + "H", len(tags)) + entries + bytes(4))
        return at, file.tell() - 4

    for tags, strip in pages:
        start = file.seek(0, 2)
        file.write(strip + bytes(len(strip) % 2))
        pointers = {tag: (LONG, [directory(fields, start)[0]]) for tag, fields in (below or {}).items()}
        at, following = directory({**tags, **pointers}, start)
        file.seek(link)
        file.write(struct.pack(order + "I", at))
        link = following
    path.write_bytes(file.getvalue())


def described(
    width: int, height: int, bits: int, length: int, **more: tuple[int, Sequence[int]]
) -> dict[int, tuple[int, Sequence[int]]]:
    """The tags of a grey page in one strip; ``more`` by ``t`` and number."""
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [width]), 257: (LONG, [height]), 258: (SHORT, [bits]), 259: (SHORT, [1]), 262: (SHORT, [1]),
        273: (LONG, [-1]), 277: (SHORT, [1]), 278: (LONG, [height]), 279: (LONG, [length]),
    }  # fmt: skip
    return tags | {int(name[1:]): value for name, value in more.items()}
