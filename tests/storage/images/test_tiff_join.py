"""Several pages become one TIFF: what is compressed stays as it is, what a page carries stays with it."""

import io
import random
import shutil
import struct
import subprocess
import tracemalloc
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from storage.images import read_master, read_metadata
from storage.images.exif import Exif, Field, parse_exif, read_exif
from storage.images.records import Pixels, Refusal
from storage.images.source import Source
from storage.images.srgb import srgb_profile
from storage.images.tiff import read_pages
from storage.images.tiff_join import MasterPage, join_pages
from storage.images.tiff_writer import write_tiff

ExifTool = Callable[..., str]
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


def saved(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "TIFF", **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory, sepia: Pixels, rgb48: Pixels) -> dict[str, Path]:
    """Pages as they are written here, of every kind."""
    folder = tmp_path_factory.mktemp("ours")
    large = np.tile(sepia, (12, 9, 1))
    kinds = {
        "strips8": (sepia, False),
        "strips16": (rgb48, False),
        "tiles8": (large, False),
        "bigtiff16": (rgb48[:99, :77], True),
    }
    found = {}
    for name, (pixels, big) in kinds.items():
        found[name] = folder / f"{name}.tif"
        write_tiff(
            found[name],
            pixels,
            icc=srgb_profile(),
            xmp=f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!--{name}--></x:xmpmeta>".encode(),
            iptc=b"\x1c\x02\x78\0\5house",
            exif=CAMERA,
            ppi=(300, 300),
            big=big,
        )
    return found


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory, sepia: Pixels, grey16: Pixels) -> dict[str, Path]:
    """Masters of one page each whose samples lie in a file in all the ways that matter."""
    folder = tmp_path_factory.mktemp("parts")
    picture = Image.fromarray(sepia)
    (folder / "fax.tif").write_bytes(saved(picture.convert("1"), compression="group4"))
    (folder / "jpeg.tif").write_bytes(saved(picture, compression="jpeg", quality=90))
    (folder / "palette.tif").write_bytes(saved(picture.convert("P")))
    (folder / "lzw.tif").write_bytes(saved(picture, compression="tiff_lzw"))
    for name, compression in {"lzw": "lzw", "deflate": "zlib", "packbits": "packbits", "raw": None}.items():
        predictor = {"predictor": True} if name in ("lzw", "deflate") else {}
        tifffile.imwrite(folder / f"{name}16be.tif", grey16, photometric="minisblack", byteorder=">",
                         compression=compression, rowsperstrip=50, metadata=None, **predictor)  # fmt: skip
    planes = np.moveaxis(sepia.astype(np.uint16) * 257, 2, 0)
    tifffile.imwrite(folder / "planes16be.tif", planes, photometric="rgb", planarconfig="separate", byteorder=">",
                     compression="zlib", tile=(64, 80), metadata=None)  # fmt: skip
    bilevel = np.packbits(sepia[..., 0] > 100, axis=1)
    turned = imagecodecs.bitorder_encode(bilevel.tobytes())
    tags = described(320, 246, 1, len(turned), t266=(SHORT, [2]))
    crafted(folder / "fillorder.tif", ">", [(tags, turned)])
    return {path.stem: path for path in sorted(folder.iterdir())}


def blocks(path: Path, page: int) -> list[bytes]:
    """The bytes of a page's strips or tiles."""
    with tifffile.TiffFile(path) as file, path.open("rb") as raw:
        found = []
        for offset, count in zip(file.pages[page].dataoffsets, file.pages[page].databytecounts, strict=True):
            raw.seek(offset)
            found.append(raw.read(count))
        return found


def assert_joined(path: Path, parts: Sequence[Path]) -> None:
    """Every page has the pixels of its part, whoever reads it."""
    with tifffile.TiffFile(path) as file, Image.open(path) as image:
        assert len(file.pages) == image.n_frames == len(parts)
        for number, part in enumerate(parts):
            page = file.pages[number]
            assert page.tags[297].value == (number, len(parts))
            assert page.tags[254].value & 2
            assert np.array_equal(page.asarray(), tifffile.imread(part)), part.name
            image.seek(number)
            with Image.open(part) as alone:
                assert np.array_equal(np.asarray(image), np.asarray(alone)), part.name
            back, single = read_master(path, page=number + 1), read_master(part)
            assert np.array_equal(back.pixels, single.pixels), part.name
            bare = {"exif": None, "notes": ()}
            assert replace(back.metadata, **bare) == replace(single.metadata, **bare), part.name
            assert without_number(back.metadata.exif) == without_number(single.metadata.exif), part.name


def without_number(block: bytes | None) -> Exif:
    try:
        exif = parse_exif(block or b"")
    except Refusal:  # there is none
        exif = Exif()
    return replace(exif, image={tag: value for tag, value in exif.image.items() if tag != 297})


def complaints(path: Path) -> str:
    """What libtiff says about a file while it reads all of it."""
    program = shutil.which("tiffinfo")
    if program is None:
        pytest.skip("tiffinfo (Debian package libtiff-tools) is not installed")
    return subprocess.run([program, "-D", path], check=True, capture_output=True, text=True).stderr


@pytest.mark.parametrize("big", [False, True])
def test_pages_of_ours_and_of_masters_are_joined(
    tmp_path: Path, ours: dict[str, Path], parts: dict[str, Path], exiftool: ExifTool, big: bool
) -> None:
    pages = [page for pair in zip(list(ours.values()) * 3, parts.values(), strict=False) for page in pair]
    joined = tmp_path / "joined.tif"
    joined.write_bytes(b"what was there before" * 99)
    join_pages(joined, [MasterPage(page, 1) if page in parts.values() else page for page in pages], big=big)
    with tifffile.TiffFile(joined) as file:
        assert file.is_bigtiff == big
    assert_joined(joined, pages)
    assert complaints(joined) == "".join(complaints(page) for page in pages)
    # Each page has metadata of its own; ExifTool expects them at the first only. BigTIFF should end in .btf.
    inherent = ("[minor] Non-standard IPTC", "[minor] Non-standard XMP", "Duplicate XMP", "wrong extension")
    known = {line for page in pages for line in warnings(exiftool, page)}
    found = {line for line in warnings(exiftool, joined) if not any(words in line for words in inherent)}
    assert found <= known


def warnings(exiftool: ExifTool, path: Path) -> list[str]:
    lines = exiftool("-validate", "-warning", "-error", "-a", path).splitlines()
    return [line.split(" (")[0] for line in lines if line.startswith(("Warning", "Error"))]


def test_strips_and_tiles_are_copied_byte_for_byte(
    tmp_path: Path, ours: dict[str, Path], parts: dict[str, Path]
) -> None:
    pages = [*ours.values(), *(path for name, path in parts.items() if not name.endswith("16be"))]
    join_pages(tmp_path / "joined.tif", pages)
    for number, page in enumerate(pages):
        assert blocks(tmp_path / "joined.tif", number) == blocks(page, 0), page.name


@given(order=st.permutations(range(11)), big=st.booleans(), count=st.integers(1, 11))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_of_pages_and_the_same_bytes_again(
    tmp_path: Path, ours: dict[str, Path], parts: dict[str, Path], order: list[int], big: bool, count: int
) -> None:
    everything = [path for path in [*ours.values(), *parts.values()] if path.stem != "tiles8"]
    pages = [everything[number % len(everything)] for number in order[:count]]
    one, other = tmp_path / "one.tif", tmp_path / "other.tif"
    join_pages(one, pages, big=big)
    join_pages(other, pages, big=big)
    assert one.read_bytes() == other.read_bytes()
    for number, page in enumerate(pages):
        assert np.array_equal(read_master(one, page=number + 1).pixels, read_master(page).pixels)
    # A page taken out of the joined file and joined again is the same page.
    join_pages(other, [MasterPage(one, number + 1) for number in range(count)], big=not big)
    join_pages(one, [MasterPage(other, number + 1) for number in range(count)], big=big)
    first = one.read_bytes()
    join_pages(other, pages, big=big)
    assert first == other.read_bytes()


def test_pages_of_one_master_keep_their_numbers_though_thumbnails_lie_between(tmp_path: Path, sepia: Pixels) -> None:
    master = tmp_path / "master.tif"
    with tifffile.TiffWriter(master) as writer:
        for shift in range(3):
            writer.write(np.roll(sepia, shift, axis=2), photometric="rgb", metadata=None)
            writer.write(sepia[::8, ::8], photometric="rgb", subfiletype=1, metadata=None)
    join_pages(tmp_path / "joined.tif", [MasterPage(master, 3), MasterPage(master, 1), MasterPage(master, 3)])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        found = [page.asarray() for page in file.pages]
    assert [np.array_equal(page, np.roll(sepia, shift, axis=2)) for page, shift in zip(found, (2, 0, 2), strict=True)]
    assert len(found) == 3
    with pytest.raises(Refusal, match="has 3 pages and no page 4"):
        join_pages(tmp_path / "joined.tif", [MasterPage(master, 4)])


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_pyramids_and_thumbnails_below_a_page_are_kept(tmp_path: Path, rgb48: Pixels, order: str, big: bool) -> None:
    master = tmp_path / "master.tif"
    with tifffile.TiffWriter(master, byteorder=order, bigtiff=not big) as writer:
        for _ in range(2):
            writer.write(rgb48, photometric="rgb", subifds=2, compression="zlib", predictor=True, metadata=None)
            writer.write(rgb48[::2, ::2], photometric="rgb", subfiletype=1, tile=(64, 64), metadata=None)
            writer.write(rgb48[::4, ::4], photometric="rgb", subfiletype=1, compression="lzw", metadata=None)
    join_pages(tmp_path / "joined.tif", [MasterPage(master, 2), MasterPage(master, 1)], big=big)
    assert complaints(tmp_path / "joined.tif") == ""
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        assert len(file.pages) == 2
        for page in file.pages:
            assert np.array_equal(page.asarray(), rgb48)
            assert [below.subfiletype for below in page.pages] == [1, 1]
            assert 297 not in page.pages[0].tags
            for step, below in zip((2, 4), page.pages, strict=True):
                assert np.array_equal(below.asarray(), rgb48[::step, ::step])


def exif_of(path: Path, page: int) -> Exif:
    with path.open("rb") as file:
        source = Source(descriptor=file.fileno())
        layout, pages = read_pages(source)
        return read_exif(source, layout, pages[page - 1].offset)


def test_exif_gps_and_interoperability_directories_are_kept(
    tmp_path: Path, ours: dict[str, Path], exiftool: ExifTool
) -> None:
    join_pages(tmp_path / "joined.tif", list(ours.values()))
    for number, page in enumerate(ours.values(), start=1):
        found, single = exif_of(tmp_path / "joined.tif", number), exif_of(page, 1)
        assert (found.exif, found.gps, found.interop) == (single.exif, single.gps, single.interop)
        assert found.gps
        assert found.interop
        assert found.image[270] == CAMERA.image[270]
    assert exiftool("-s3", "-GPSLatitude#", tmp_path / "joined.tif").strip() == "36.5"


def test_makers_notes_are_left_out_and_big_endian_tags_turned_round(tmp_path: Path, exiftool: ExifTool) -> None:
    strip = bytes(range(100))
    camera: Tags = {
        36864: (UNDEFINED, list(b"0232")),
        37500: (UNDEFINED, list(b"private note")),
        41728: (UNDEFINED, [3]),
    }
    private = {"t65000": (SHORT, [1, 2, 3]), "t65001": (UNDEFINED, list(b"as it is"))}
    caption = list(b"\x1c\x02\x78\0\5house\0\0")
    words = [int.from_bytes(bytes(caption[at : at + 4]), "big") for at in (0, 4, 8)]
    page = described(10, 10, 8, 100, t285=(2, list(b"7 recto\0")), t33723=(LONG, words), **private)
    crafted(tmp_path / "a.tif", ">", [(page, strip)], {34665: camera})
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    found = exif_of(tmp_path / "joined.tif", 1)
    assert set(found.exif) == {36864, 41728}
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        tags = file.pages[0].tags
        assert tags[285].value == "7 recto"
        assert tags[65000].value == (1, 2, 3)
        assert tags[65001].value == b"as it is"
    assert exiftool("-s3", "-IPTC:Caption-Abstract", tmp_path / "joined.tif").strip() == "house"
    assert read_metadata(tmp_path / "joined.tif").iptc == bytes(caption)


@pytest.mark.parametrize("name", ["lzw16be", "deflate16be", "packbits16be", "planes16be", "raw16be"])
def test_big_endian_samples_become_little_endian_without_loss(
    tmp_path: Path, parts: dict[str, Path], name: str
) -> None:
    join_pages(tmp_path / "joined.tif", [parts[name]])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file, tifffile.TiffFile(parts[name]) as before:
        assert (file.byteorder, before.byteorder) == ("<", ">")
        assert file.pages[0].compression == (1 if name == "raw16be" else 8)
        assert file.pages[0].predictor == before.pages[0].predictor
        assert file.pages[0].dtype == np.uint16
    assert_joined(tmp_path / "joined.tif", [parts[name]])


@pytest.mark.parametrize("predictor", [1, 2, 3])
def test_big_endian_floats_are_turned_round_too(tmp_path: Path, grey16: Pixels, predictor: int) -> None:
    floats = (grey16 / 7).astype(np.float32)
    compression = {"compression": "zlib", "predictor": predictor} if predictor > 1 else {}
    if predictor == 2:
        floats = grey16.astype(np.uint32) * 65_537  # predictor 2 is for whole numbers
    tifffile.imwrite(tmp_path / "a.tif", floats, byteorder=">", photometric="minisblack", metadata=None, **compression)
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    assert np.array_equal(tifffile.imread(tmp_path / "joined.tif"), floats)
    assert complaints(tmp_path / "joined.tif") == ""


def test_strips_filled_up_to_full_height_are_cut_to_their_rows(tmp_path: Path, grey16: Pixels) -> None:
    rows = np.vstack([grey16[:10], grey16[:6]]).astype(">u2")
    strip = zlib.compress(rows.tobytes())
    tags = described(320, 10, 16, len(strip), t259=(SHORT, [8]), t278=(LONG, [16]))
    crafted(tmp_path / "a.tif", ">", [(tags, strip)])
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    assert np.array_equal(read_master(tmp_path / "joined.tif").pixels, grey16[:10])
    assert len(zlib.decompress(blocks(tmp_path / "joined.tif", 0)[0])) == 320 * 2 * 10


def test_old_style_jpeg_is_copied_with_its_stream(tmp_path: Path, sepia: Pixels) -> None:
    file = io.BytesIO()
    Image.fromarray(sepia).convert("L").save(file, "JPEG", quality=90)
    stream = file.getvalue()
    tags = described(320, 246, 8, len(stream), t259=(SHORT, [6]), t512=(SHORT, [1]), t513=(LONG, [-1]),
                     t514=(LONG, [len(stream)]))  # fmt: skip
    crafted(tmp_path / "a.tif", ">", [(tags, stream)] * 2)
    before = complaints(tmp_path / "a.tif")
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 2), MasterPage(tmp_path / "a.tif", 1)])
    with tifffile.TiffFile(tmp_path / "joined.tif") as joined:
        for number, page in enumerate(joined.pages):
            assert page.tags[513].value[0] == page.dataoffsets[0]
            assert blocks(tmp_path / "joined.tif", number) == [stream]
            assert np.array_equal(page.asarray(), np.asarray(Image.open(file)))
    assert complaints(tmp_path / "joined.tif") == before
    del tags[514]
    crafted(tmp_path / "a.tif", ">", [(tags, stream)])
    with pytest.raises(Refusal, match="old-style JPEG") as refused:
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
    assert refused.value.error_type == "unsupported"


def test_a_chain_that_runs_in_a_circle_ends(tmp_path: Path, sepia: Pixels) -> None:
    grey = sepia[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", np.stack([grey, 255 - grey]), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        first, second = (page.offset for page in file.pages)
    data = bytearray((tmp_path / "a.tif").read_bytes())
    (count,) = struct.unpack_from("<H", data, second)
    struct.pack_into("<I", data, second + 2 + 12 * count, first)
    (tmp_path / "a.tif").write_bytes(data)
    join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 2), MasterPage(tmp_path / "a.tif", 1)])
    found = tifffile.imread(tmp_path / "joined.tif", key=[0, 1])
    assert np.array_equal(found, np.stack([255 - grey, grey]))


def test_directories_below_that_point_up_or_nowhere_are_left_out(tmp_path: Path) -> None:
    strip = bytes(range(100))
    for target in (8, 108, 4_000_000_000):  # the strip, the page itself, beyond the end
        crafted(tmp_path / "a.tif", "<", [(described(10, 10, 8, 100, t330=(LONG, [target])), strip)])
        assert read_pages(Source((tmp_path / "a.tif").read_bytes()))[1][0].offset == 108
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
        assert blocks(tmp_path / "joined.tif", 0) == [strip]
        assert (tmp_path / "joined.tif").stat().st_size < 1000


def test_damaged_pages_are_refused(tmp_path: Path, parts: dict[str, Path], grey16: Pixels) -> None:
    strip = grey16[:10].astype(">u2").tobytes()
    good = described(320, 10, 16, len(strip))
    packed = zlib.compress(strip)
    broken = bytes([packed[0], packed[1]]) + bytes(len(packed) - 2)
    cases = {
        "no list of strips": ({tag: good[tag] for tag in good if tag != 279}, strip, "truncated"),
        "strip beyond the end": (good | {279: (LONG, [1 << 20])}, strip, "truncated"),
        "strip at zero": (good | {273: (LONG, [0])}, strip, "truncated"),
        "no width": (good | {256: (LONG, [0])}, strip, "unreadable"),
        "width in signed bytes": (good | {256: (6, [1])}, strip, "unreadable"),
        "too many parts": (good | {257: (LONG, [1 << 24]), 278: (LONG, [1])}, strip, "too_large"),
        "too short when unpacked": (good | {259: (SHORT, [8]), 257: (LONG, [11])}, packed, "truncated"),
        "cannot be inflated": (good | {259: (SHORT, [8])}, broken, "unreadable"),
        "runs of far too many bytes": (good | {259: (SHORT, [32773]), 256: (LONG, [1 << 20])}, packed, "truncated"),
        "LZW of far too many bytes": (good | {259: (SHORT, [5]), 256: (LONG, [1 << 30])}, packed, "too_large"),
        "unusual compression": (good | {259: (SHORT, [50000])}, strip, "unsupported"),
    }  # fmt: skip
    for name, (tags, data, expected) in cases.items():
        if data is not strip:
            tags[279] = (LONG, [len(data)])
        crafted(tmp_path / "a.tif", ">", [(tags, data)])
        with pytest.raises(Refusal) as refused:
            join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
        assert refused.value.error_type == expected, name
        assert "\n" not in refused.value.detail
    for name in ("fax", "lzw16be"):
        whole = parts[name].read_bytes()
        for length in (0, 7, 50, len(whole) // 2, len(whole) - 60):
            (tmp_path / "a.tif").write_bytes(whole[:length])
            with pytest.raises(Refusal):
                join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])


def test_parts_that_overlap_do_not_fill_the_disk(tmp_path: Path) -> None:
    rows = 1000
    strip = bytes(100_000)
    offsets = [8 + number for number in range(rows)]
    tags = described(10, rows, 8, 1, t278=(LONG, [1]), t273=(LONG, offsets), t279=(LONG, [90_000] * rows))
    crafted(tmp_path / "a.tif", "<", [(tags, strip)])
    with pytest.raises(Refusal, match="lie over each other"):
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])


def test_mutated_files_end_in_refusals_or_files(tmp_path: Path, parts: dict[str, Path], ours: dict[str, Path]) -> None:
    chance = random.Random(5)
    sources = [path.read_bytes() for path in [*parts.values(), ours["strips8"]] if path.stem != "raw16be"]
    outcomes = {"refused": 0, "joined": 0}
    for _ in range(300):
        data = bytearray(chance.choice(sources))
        with_tags = [0, 8, len(data) - 900]
        for _ in range(chance.randint(1, 8)):
            start = chance.choice(with_tags)
            data[min(len(data) - 1, start + chance.randint(0, 899))] = chance.choice((0, 1, 2, 127, 255))
        (tmp_path / "a.tif").write_bytes(data)
        try:
            join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
        except Refusal:
            outcomes["refused"] += 1
        else:
            outcomes["joined"] += 1
            assert (tmp_path / "joined.tif").stat().st_size < 12 * len(data) + 10_000
            assert len(read_pages(Source((tmp_path / "joined.tif").read_bytes()))[1]) == 1
    assert min(outcomes.values()) > 20


def test_a_large_page_takes_little_memory(tmp_path: Path) -> None:
    size = 4096 * 4096 * 2
    tags = described(4096, 4096, 16, size, t65000=(UNDEFINED, [0]))
    crafted(tmp_path / "a.tif", ">", [(tags, bytes(range(256)) * (size // 256))])
    zipped = zlib.compress(bytes(range(256)) * (size // 256), 0)
    crafted(tmp_path / "b.tif", ">", [(described(4096, 4096, 16, len(zipped), t259=(SHORT, [8])), zipped)])
    tracemalloc.start()
    try:
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / name, 1) for name in ("a.tif", "b.tif")])
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        found = [page.asarray() for page in file.pages]
    assert np.array_equal(found[0], found[1])
    assert found[0][0, :2].tolist() == [0x0001, 0x0203]


def test_numbers_that_need_a_bigtiff_make_one(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8), bigtiff=True, metadata=None,
                     extratags=[(65000, 16, 2, (1, 1 << 40), True), (65001, 16, 1, 5, True)])  # fmt: skip
    join_pages(tmp_path / "joined.tif", [tmp_path / "a.tif"])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].tags[65000].value == (1, 1 << 40)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 9), np.uint8), bigtiff=True, metadata=None,
                     extratags=[(65000, 16, 2, (1, 7), True), (65001, 16, 1, 5, True)])  # fmt: skip
    join_pages(tmp_path / "joined.tif", [tmp_path / "a.tif"])
    with tifffile.TiffFile(tmp_path / "joined.tif") as file:
        assert not file.is_bigtiff
        assert file.pages[0].tags[65000].value == (1, 7)
        assert file.pages[0].tags[65001].value == 5


def test_the_sum_of_the_pages_decides_whether_it_is_a_bigtiff(
    tmp_path: Path, parts: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = parts["raw16be"]
    monkeypatch.setattr("storage.images.tiff_join._BIG_FROM_BYTES", int(page.stat().st_size * 2.5))
    for count in (2, 3):
        join_pages(tmp_path / "joined.tif", [page] * count)
        with tifffile.TiffFile(tmp_path / "joined.tif") as file:
            assert file.is_bigtiff == (count == 3)


def test_a_refusal_names_the_page(tmp_path: Path, grey16: Pixels) -> None:
    strip = zlib.compress(grey16.astype(">u2").tobytes())
    good = described(320, 246, 16, len(strip), t259=(SHORT, [8]))
    for bad, at in ((good | {279: (LONG, [1 << 30])}, strip), (good, bytes(len(strip)))):
        crafted(tmp_path / "a.tif", ">", [(good, strip), (bad, at)])
        join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1)])
        with pytest.raises(Refusal, match=r"cannot be used: page 2 is (cut off|damaged)"):
            join_pages(tmp_path / "joined.tif", [MasterPage(tmp_path / "a.tif", 1), MasterPage(tmp_path / "a.tif", 2)])


def test_wrong_use_is_told(tmp_path: Path, parts: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="at least one page"):
        join_pages(tmp_path / "joined.tif", [])
    shutil.copy(parts["fax"], tmp_path / "a.tif")
    with pytest.raises(ValueError, match="must not be one of its pages"):
        join_pages(tmp_path / "a.tif", [tmp_path / "a.tif"])
    assert (tmp_path / "a.tif").read_bytes() == parts["fax"].read_bytes()
    with pytest.raises(FileNotFoundError):
        join_pages(tmp_path / "joined.tif", [tmp_path / "missing.tif"])


def test_a_directory_read_back_is_sorted_and_aligned(tmp_path: Path, ours: dict[str, Path]) -> None:
    join_pages(tmp_path / "joined.tif", list(ours.values()))
    source = Source((tmp_path / "joined.tif").read_bytes())
    _, pages = read_pages(source)
    for page in pages:
        assert page.offset % 2 == 0
        assert list(page.entries) == sorted(page.entries)
