"""Bags are valid by the library of those who made the format, and hold what is on record or nothing."""

import os
import unicodedata
from pathlib import Path

import bagit
import pytest

from storage.errors import StorageError
from storage.exports.bag import BagWriter, FileNotInBag, payload_name
from storage.film import film_sha256, find_sequence
from storage.fixity import PARTIAL_SUFFIX, sha256_bytes, sha256_file
from storage.paths import path_to_text, text_to_path

HARD_NAMES = (
    b"plain.tif",
    b"two words and a  gap.tif",
    b"line\nbreak.tif",
    b"carriage\rreturn.tif",
    b"100%.tif",
    b"a%0Ab.tif",
    b"a%25b.tif",
    b"latin-1 \xfc.tif",
    b"back\\slash.tif",
    b"back\\x25slash.tif",
    b"blank at the end ",
    "ideographic blank\u3000".encode(),
    b"*star.tif",
    b"~home.tif",
    b"-dash.tif",
    b"folder \n/in%side/deep \xff/file.tif",
    "vertical\u2028line.tif".encode(),
    unicodedata.normalize("NFC", "Fürth.tif").encode(),
    unicodedata.normalize("NFD", "Fürth.tif").encode(),
    "北京 😀.tif".encode(),
)


def write(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return sha256_bytes(content)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    return folder


def test_names_that_are_hard_come_back_byte_for_byte(tmp_path: Path, files: Path) -> None:
    target = tmp_path / "bag"
    placed: dict[bytes, str] = {}
    with BagWriter(target) as writer:
        for name in HARD_NAMES:
            source = files / os.fsdecode(name)
            digest = write(source, b"content of " + name)
            placed[name] = writer.add(source, f"colorized/{path_to_text(os.fsdecode(name))}", digest)
        made = writer.finish({})
    bag = bagit.Bag(str(target))
    bag.validate()
    assert made.files == len(HARD_NAMES) == len(bag.payload_entries())
    assert set(bag.payload_entries()) == set(placed.values())
    for name, place in placed.items():
        assert (target / place).read_bytes() == b"content of " + name
        assert os.fsencode(text_to_path(place)) == b"data/colorized/" + name


def test_manifests_and_information(tmp_path: Path, files: Path) -> None:
    digest = write(files / "a", b"12345")
    with BagWriter(tmp_path / "bag") as writer:
        writer.add(files / "a", "colorized/a", digest)
        writer.made("provenance/note.txt").write_text("1234567")
        made = writer.finish({"Source-Organization": "An archive\nof glass", "External-Identifier": "id \udcff 7"})
    assert (tmp_path / "bag" / "bagit.txt").read_text().splitlines()[0] == "BagIt-Version: 1.0"
    bag = bagit.Bag(str(tmp_path / "bag"))
    assert bag.info["Payload-Oxum"] == "12.2"
    assert bag.info["Source-Organization"] == "An archive of glass"
    assert bag.info["External-Identifier"] == "id \\udcff 7"
    assert sorted(bag.algorithms) == ["sha256", "sha512"]
    assert {len(hashes) for hashes in bag.entries.values()} == {2}
    assert (made.files, made.bytes) == (2, 12)
    assert made.sha256 == sha256_file(tmp_path / "bag" / "manifest-sha256.txt")
    (tmp_path / "bag" / "data" / "colorized" / "a").write_bytes(b"12346")
    assert not bagit.Bag(str(tmp_path / "bag")).is_valid()


def test_what_is_not_on_record_is_no_part_of_it(tmp_path: Path, files: Path) -> None:
    good = write(files / "good", b"good")
    write(files / "changed", b"changed")
    os.mkfifo(files / "pipe")
    (files / "folder").mkdir()
    reasons = {}
    with BagWriter(tmp_path / "bag") as writer:
        for name in ("changed", "missing", "pipe", "folder", "good/under a file"):
            with pytest.raises(FileNotInBag) as caught:
                writer.add(files / name, f"colorized/{name}", good)
            reasons[name] = caught.value.message
        now = sha256_file(files / "changed")
        writer.add(files / "changed", "colorized/changed", now)  # the name is free again
        writer.finish({})
    assert reasons["changed"].startswith("it is not the file on record any more")
    assert reasons["missing"] == reasons["good/under a file"] == "it is missing"
    assert reasons["pipe"] == reasons["folder"] == "it is not a file"
    assert [path.name for path in (tmp_path / "bag" / "data").rglob("*") if path.is_file()] == ["changed"]


@pytest.mark.parametrize("text", ["../outside", "colorized/../../outside", "/etc/outside", "colorized//outside", "."])
def test_nothing_is_written_outside(tmp_path: Path, files: Path, text: str) -> None:
    digest = write(files / "a", b"a")
    with BagWriter(tmp_path / "bag") as writer, pytest.raises(FileNotInBag, match="leads out"):
        writer.add(files / "a", text, digest)
    assert not list(tmp_path.rglob("outside"))


def test_the_same_file_is_copied_once_and_another_not_over_it(tmp_path: Path, files: Path) -> None:
    first, second = write(files / "first", b"1"), write(files / "second", b"2")
    with BagWriter(tmp_path / "bag") as writer:
        assert writer.add(files / "first", "sources/a", first) == writer.add(files / "first", "sources/a", first)
        with pytest.raises(FileNotInBag, match="another file of this name"):
            writer.add(files / "second", "sources/a", second)
        with pytest.raises(FileNotInBag, match="another file of this name"):
            writer.add(files / "second", "sources/a/b", second)
        assert writer.finish({}).files == 1
    assert (tmp_path / "bag" / "data" / "sources" / "a").read_bytes() == b"1"


def test_a_name_that_grows_too_long_is_said(tmp_path: Path, files: Path) -> None:
    name = os.fsdecode(b"\xfc" * 200)
    digest = write(files / name, b"a")
    with BagWriter(tmp_path / "bag") as writer, pytest.raises(FileNotInBag, match="too long"):
        writer.add(files / name, f"colorized/{path_to_text(name)}", digest)


def test_a_film_of_frames(tmp_path: Path, files: Path) -> None:
    for number in range(3):
        write(files / f"f%{number}.dpx", b"frame %d" % number)
    pattern = find_sequence(files)
    frames = [pattern.path(number) for number in range(3)]
    with BagWriter(tmp_path / "bag") as writer:
        digest = film_sha256(files)
        assert writer.add_frames(frames, "sources/reel", digest) == "data/sources/reel"
        write(files / "f%1.dpx", b"another")
        with pytest.raises(FileNotInBag, match="not those on record"):
            writer.add_frames(frames, "sources/changed", digest)
        assert writer.finish({}).files == 3
    assert (tmp_path / "bag" / "data" / "sources" / "reel" / "f\\x251.dpx").read_bytes() == b"frame 1"


def test_there_is_no_bag_until_it_is_whole(tmp_path: Path, files: Path) -> None:
    digest = write(files / "a", b"a")
    target = tmp_path / "bags" / "bag"

    def break_off() -> None:
        with BagWriter(target) as writer:
            writer.add(files / "a", "colorized/a", digest)
            assert not target.exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    assert list(target.parent.iterdir()) == []


def test_what_a_killed_export_left_is_swept_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    left = tmp_path / f".bag.0123{PARTIAL_SUFFIX}"
    (left / "data").mkdir(parents=True)
    with BagWriter(tmp_path / "bag") as one:
        assert not left.exists()
        with BagWriter(tmp_path / "bag") as other:
            other.made("note.txt").write_text("other")
            one.made("note.txt").write_text("one")
            assert one.finish({}).files == 1
            with pytest.raises(StorageError, match="meanwhile"):
                other.finish({})
    assert (tmp_path / "bag" / "data" / "note.txt").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["bag"]


def test_usual_names_stay_as_they_are() -> None:
    assert payload_name("1907 Straßenbahn/Fürth – Bahnhof.jpg.tif") == "1907 Straßenbahn/Fürth – Bahnhof.jpg.tif"
