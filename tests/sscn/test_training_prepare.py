"""Preparing the training photographs: the list, Qt resource collections, packages that are there and that are not."""

import hashlib
import io
import shutil
import struct
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data as samples

from sscn import SscnError
from sscn.training import prepare
from sscn.training.manifest import SPLITS, Entry, read_manifest
from sscn.training.packages import SCIKIT_IMAGE, Packages
from sscn.training.prepare import Preparation, on_ground
from sscn.training.qt_resources import resource_files

needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed here")
needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="apt-get is not installed here")


def collection(files: dict[str, tuple[bytes, bool]], version: int) -> bytes:
    """A resource collection with a folder ``pictures`` of files, each with its content and whether to deflate it."""
    stamp = b"" if version < 2 else bytes(8)
    names, data, nodes = b"", b"", b""

    def named(text: str) -> int:
        nonlocal names
        at = len(names)
        names += struct.pack(">HI", len(text), 0) + text.encode("utf-16-be")
        return at

    nodes += struct.pack(">IHII", 0, 2, 1, 1) + stamp
    nodes += struct.pack(">IHII", named("pictures"), 2, len(files), 2) + stamp
    for name, (content, deflated) in files.items():
        stored = struct.pack(">I", len(content)) + zlib.compress(content) if deflated else content
        nodes += struct.pack(">IHHHI", named(name), int(deflated), 0, 0, len(data)) + stamp
        data += struct.pack(">I", len(stored)) + stored
    head = 20 if version < 3 else 24
    header = b"qres" + struct.pack(">IIII", version, head, head + len(nodes), head + len(nodes) + len(data))
    return header + bytes(head - 20) + nodes + data + names


def photograph(long_side: int = 200) -> bytes:
    picture = Image.fromarray(samples.coffee()).resize((long_side, long_side * 2 // 3))
    coded = io.BytesIO()
    picture.save(coded, "JPEG", quality=90)
    return coded.getvalue()


def deb(folder: Path, package: str, files: dict[str, bytes]) -> None:
    tree = folder / f"tree-{package}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {package}\nVersion: 1.0\nArchitecture: all\nMaintainer: Nobody <no@example.org>\nDescription: test\n"
    )
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    target = folder / f"{package}_1.0_all.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", str(tree), str(target)], check=True, capture_output=True)


def entry(name: str, package: str, path: str, content: bytes, split: str = "train") -> Entry:
    sha256 = hashlib.sha256(content).hexdigest()
    return Entry(split, name, package, "1.0", path, "", sha256, "CC0-1.0", "")


def test_nothing_held_out_is_trained_on() -> None:
    entries = read_manifest()
    train, held_out = ({e.sha256 for e in entries if e.split == split} for split in SPLITS)
    assert not train & held_out
    assert len(train) > 200
    assert len(held_out) == 110
    assert {e.package for e in entries if e.split == "held-out"} == {"gcompris-qt-data"}
    assert "gcompris-qt-data" not in {e.package for e in entries if e.split == "train"}


def test_every_entry_of_the_list_is_complete() -> None:
    entries = read_manifest()
    names = [e.name for e in entries]
    train = {e.name for e in entries if e.split == "train" and not e.ground}
    assert len(set(names)) == len(names) == len({e.sha256 for e in entries})
    for e in entries:
        assert e.split in SPLITS
        assert all((e.name, e.package, e.version, e.path, e.licence))
        assert len(e.sha256) == 64
        assert "/" not in e.name
        assert not Path(e.path).is_absolute()
        assert not e.ground or e.ground in train


def test_licences_are_free_ones() -> None:
    free = ("GPL-", "CC-BY-", "CC0-", "public-domain", "GFDL")
    for e in read_manifest():
        assert e.licence.startswith(free), e
        assert "NC" not in e.licence
        assert "ND" not in e.licence


@pytest.mark.parametrize("version", [1, 2, 3])
def test_files_of_a_resource_collection(version: int) -> None:
    files = {"coffee.jpg": (photograph(), False), "nöte.txt": (b"words " * 50, True)}
    found = {file.path: file.content for file in resource_files(collection(files, version))}
    assert found == {f"pictures/{name}": content for name, (content, _) in files.items()}


def test_a_damaged_collection_is_one_clear_line() -> None:
    whole = collection({"coffee.jpg": (photograph(), False)}, 2)
    with pytest.raises(SscnError, match="not a Qt resource collection"):
        list(resource_files(b"RIFF" + whole[4:]))
    for cut in (6, 30, 200):
        with pytest.raises(SscnError, match="damaged"):
            list(resource_files(whole[:cut]))
    endless = bytearray(whole)
    endless[20 + 22 + 10 : 20 + 22 + 14] = struct.pack(">I", 0)  # the folder's first child is the root
    with pytest.raises(SscnError, match="damaged"):
        list(resource_files(bytes(endless)))


@needs_dpkg
def test_photographs_come_out_of_packages(tmp_path: Path) -> None:
    small, large = photograph(), photograph(1500)
    packed = collection({"cup.jpg": (small, False)}, 2)
    deb(tmp_path, "walls", {"usr/share/walls/a.jpg": large, "usr/share/walls/b.jpg": photograph(300)})
    deb(tmp_path, "games", {"usr/share/games/all.rcc": packed})
    inner = entry("cup.jpg", "games", "usr/share/games/all.rcc", small, "held-out")
    entries = [
        entry("large.jpg", "walls", "usr/share/walls/a.jpg", large),
        entry("b.jpg", "walls", "usr/share/walls/b.jpg", photograph(300)),
        replace(inner, inside="pictures/cup.jpg"),
    ]
    (tmp_path / "work").mkdir()
    lines: list[str] = []
    preparation = Preparation(entries, Packages(tmp_path / "work", tmp_path), lines.append)
    assert preparation.write(tmp_path / "out") == {"train": 2, "held-out": 1}
    assert lines == []
    assert Image.open(tmp_path / "out/train/large.jpg").size == (1024, 683)
    assert (tmp_path / "out/train/b.jpg").read_bytes() == photograph(300)
    assert (tmp_path / "out/held-out/cup.jpg").read_bytes() == small


@needs_dpkg
def test_a_file_that_is_missing_or_differs_is_told(tmp_path: Path) -> None:
    deb(tmp_path, "walls", {"a.jpg": photograph()})
    entries = [
        replace(entry("a.jpg", "walls", "a.jpg", photograph()), sha256="0" * 64),
        entry("b.jpg", "walls", "b.jpg", photograph()),
    ]
    (tmp_path / "work").mkdir()
    lines: list[str] = []
    preparation = Preparation(entries, Packages(tmp_path / "work", tmp_path), lines.append)
    assert preparation.write(tmp_path / "out") == {"train": 0, "held-out": 0}
    assert lines == [
        "walls: a.jpg differs from the listed one (of version 1.0); left out",
        "walls: b.jpg is missing (the list knows version 1.0)",
    ]
    assert not preparation.lacking


@needs_apt
def test_a_package_that_cannot_be_had_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = "there-is-no-such-package-of-photographs"
    entries = [entry(f"{n}.jpg", nowhere, f"{n}.jpg", photograph()) for n in range(3)]
    cat = Path(samples.__file__).parent / "chelsea.png"
    entries.append(entry("cat.png", SCIKIT_IMAGE, "chelsea.png", cat.read_bytes()))
    monkeypatch.setattr(prepare, "read_manifest", lambda: entries)
    assert prepare.main(["--output", str(tmp_path / "out")]) == 1
    said = capsys.readouterr()
    assert len(said.err.splitlines()) == 1
    assert said.err.startswith(f"{nowhere}: the package cannot be had (apt-get: E: ")
    assert "out/train: 1 photographs" in said.out
    assert (tmp_path / "out/train/cat.png").read_bytes() == cat.read_bytes()


def test_a_folder_of_packages_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare.main(["--output", str(tmp_path / "out"), "--packages", str(tmp_path / "none")]) == 1
    assert "there is no such folder" in capsys.readouterr().err


def test_a_cut_out_lies_on_a_blurred_photograph() -> None:
    figure = np.zeros((100, 60, 4), np.uint8)
    figure[20:80, 10:50] = (250, 10, 10, 255)
    coded = io.BytesIO()
    Image.fromarray(figure).save(coded, "PNG")
    with Image.open(io.BytesIO(on_ground(coded.getvalue(), photograph()))) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (135, 81, 3)
    assert np.abs(pixels[67, 40].astype(int) - (250, 10, 10)).max() < 12
    assert pixels[5:10, 5:10, 0].max() < 240
    assert pixels[:15].std() > 1
