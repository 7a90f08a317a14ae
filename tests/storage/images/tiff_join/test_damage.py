"""Damaged pages and wrong use end in refusals that name the page, circles end."""

import random
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile

from storage.images.records import Pixels, Refusal
from storage.images.source import Source
from storage.images.tiff import read_pages
from storage.images.tiff_join import MasterPage, join_pages
from tests.storage.images.tiff_join.crafted_tiffs import LONG, SHORT, crafted, described


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
