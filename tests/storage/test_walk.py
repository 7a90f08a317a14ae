"""Walking an archive: what is found, in which order, and what is said of the rest."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.paths import path_to_text
from storage.walk import Entry, FoundFile, Ignored, Problem, walk_archive

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
HEADS = {
    "jpeg": (JPEG, "photograph"),
    "png": (b"\x89PNG\r\n\x1a\n" + bytes(60), "photograph"),
    "tiff": (b"MM\x00*" + bytes(60), "photograph"),
    "webp": (b"RIFF\x10\0\0\0WEBPVP8 ", "photograph"),
    "jpeg2000": (b"\0\0\0\x0cjP  \r\n\x87\n", "photograph"),
    "dpx": (b"SDPX" + bytes(60), "photograph"),
    "pdf": (b"%PDF-1.7\n", "page"),
    "matroska": (b"\x1a\x45\xdf\xa3" + bytes(60), "film"),
    "mp4": (b"\0\0\0\x14ftypisom", "film"),
    "avi": (b"RIFF\x10\0\0\0AVI LIST", "film"),
    "mpeg": (b"\0\0\1\xba" + bytes(60), "film"),
}


def names(entries: list[Entry], kind: type[Entry]) -> list[str]:
    return [path_to_text(entry.relative) for entry in entries if isinstance(entry, kind)]


def problems(root: Path) -> dict[str, Problem]:
    return {path_to_text(e.relative): e for e in walk_archive(root) if isinstance(e, Problem)}


@pytest.mark.parametrize("format", HEADS)
def test_the_content_decides_and_not_the_suffix(tmp_path: Path, format: str) -> None:
    head, kind = HEADS[format]
    (tmp_path / "without").write_bytes(head)
    (tmp_path / "wrong.txt").write_bytes(head)
    for found in walk_archive(tmp_path):
        assert isinstance(found, FoundFile)
        assert (found.format, found.kind, found.size_bytes) == (format, kind, len(head))
        assert found.mtime_ns == found.path.stat().st_mtime_ns


def test_big_tiff_of_both_byte_orders(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"II+\0\x08\0\0\0" + bytes(8))
    (tmp_path / "b").write_bytes(b"MM\0+\0\x08\0\0" + bytes(8))
    assert names(list(walk_archive(tmp_path)), FoundFile) == ["a", "b"]


def test_order_is_that_of_the_raw_bytes(tmp_path: Path) -> None:
    for name in (b"b.jpg", b"B.jpg", b"\xc3\xa4.jpg", b"\xe4.jpg", b"a/z.jpg", b"a.jpg", b"a/\xff/1.jpg"):
        path = tmp_path / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(JPEG)
    assert names(list(walk_archive(tmp_path)), FoundFile) == [
        "B.jpg", "a/z.jpg", r"a/\xff/1.jpg", "a.jpg", "b.jpg", "ä.jpg", r"\xe4.jpg"
    ]  # fmt: skip


def test_claims_that_do_not_hold_are_problems(tmp_path: Path) -> None:
    (tmp_path / "scan.tif").write_text("Film 3, box 12\n")
    (tmp_path / "page.JPG").write_text("<!DOCTYPE html><p>404")
    (tmp_path / "none.png").write_bytes(b"")
    (tmp_path / "lost.jpg").write_bytes(bytes(5000))
    (tmp_path / "moving.gif").write_bytes(b"GIF89a" + bytes(20))
    found = problems(tmp_path)
    assert {name: problem.error_type for name, problem in found.items()} == {
        "scan.tif": "not_an_image",
        "page.JPG": "not_an_image",
        "none.png": "empty",
        "lost.jpg": "not_an_image",
        "moving.gif": "unsupported",
    }
    assert found["scan.tif"].message.startswith("scan.tif is not an image: it contains text; ")
    assert "a web page" in found["page.JPG"].message
    assert "zero bytes" in found["lost.jpg"].message
    assert all("\n" not in problem.message for problem in found.values())


def test_what_is_no_picture_and_claims_nothing_is_ignored(tmp_path: Path) -> None:
    for name in ("list.txt", "empty.txt", "scan.md5", ".hidden.jpg", "Thumbs.db", "._scan.jpg"):
        (tmp_path / name).write_bytes(b"" if name == "empty.txt" else JPEG if name[0] == "." else b"text")
    for folder in ("@eaDir", "__MACOSX", ".git"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.jpg").write_bytes(JPEG)
    entries = list(walk_archive(tmp_path))
    assert len(entries) == 9
    assert all(isinstance(entry, Ignored) for entry in entries)


def test_links_are_followed_but_never_in_circles(tmp_path: Path) -> None:
    archive, elsewhere = tmp_path / "archive", tmp_path / "elsewhere"
    (archive / "box" / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    (elsewhere / "a.jpg").write_bytes(JPEG)
    (archive / "box" / "linked.jpg").symlink_to(elsewhere / "a.jpg")
    (archive / "box" / "more").symlink_to(elsewhere)
    (archive / "box" / "deep" / "up").symlink_to(archive)
    (archive / "gone.jpg").symlink_to(tmp_path / "missing.jpg")
    (archive / "ring").symlink_to(archive / "ring")
    assert names(list(walk_archive(archive)), FoundFile) == ["box/linked.jpg", "box/more/a.jpg"]
    assert {name: problem.error_type for name, problem in problems(archive).items()} == {
        "box/deep/up": "link_loop",
        "gone.jpg": "dangling_link",
        "ring": "link_loop",
    }


@pytest.mark.timeout(60)
def test_special_files_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "pipe.tif")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        entries = list(walk_archive(tmp_path))
    assert names(entries, Ignored) == ["pipe", "socket"]
    assert names(entries, Problem) == ["pipe.tif"]


def test_each_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        (tmp_path / f"{number}.jpg").write_bytes(JPEG)
    opened: list[object] = []
    real_open = os.open

    def counting_open(path: str, flags: int) -> int:
        opened.append(path)
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", counting_open)
    assert len(list(walk_archive(tmp_path))) == 20
    assert len(opened) == len(set(opened)) == 20


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read every folder")
def test_a_folder_that_may_not_be_read_is_a_problem(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    assert problems(tmp_path)["closed"].error_type == "unreadable"
    closed.chmod(0o700)


def test_a_missing_archive_is_a_problem_and_not_a_crash(tmp_path: Path) -> None:
    (only,) = walk_archive(tmp_path / "nothing")
    assert isinstance(only, Problem)
    assert only.error_type == "unreadable"
    assert "nothing" in only.message


@pytest.fixture
def deep_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder 1200 levels down, removed again however far it came: pytest's own clearing up is recursive."""
    made: list[Path] = []
    try:
        for _ in range(1200):
            folder = (made[-1] if made else tmp_path) / "d"
            folder.mkdir()
            made.append(folder)
        yield made[-1]
    finally:
        for folder in reversed(made):
            for file in folder.glob("*.jpg"):
                file.unlink()
            folder.rmdir()


def test_folders_nested_deeper_than_recursion_allows(tmp_path: Path, deep_folder: Path) -> None:
    (deep_folder / "x.jpg").write_bytes(JPEG)
    assert len(list(walk_archive(tmp_path))) == 1
