"""Copies mirror the archive's tree; no copy can take another's place."""

import os
from pathlib import Path

import pytest

from flows.naming import find_conflicts, output_path, output_paths, page_path
from storage.paths import path_to_text, text_to_path


def pairs(*paths: str, formats: tuple[str, ...] = ("tiff",)) -> list[tuple[str, tuple[str, ...]]]:
    return [(path, output_paths(path, formats)) for path in paths]


@pytest.mark.parametrize(
    ("master", "output_format", "copy"),
    [
        ("a/b/photo.jpg", "tiff", "a/b/photo.jpg.tif"),
        ("photo.TIF", "tiff", "photo.TIF"),
        ("photo.tiff", "tiff", "photo.tiff"),
        ("photo.tif", "png", "photo.tif.png"),
        ("Straßenbahn/北京.png", "png", "Straßenbahn/北京.png"),
        ("without suffix", "png", "without suffix.png"),
        ("dots.in.name", "tiff", "dots.in.name.tif"),
        ("reels/1.mkv", "ffv1", "reels/1.mkv"),
        ("reels/1.MKV", "ffv1", "reels/1.MKV"),
        ("reels/1.mkv", "h264", "reels/1.mkv.mp4"),
        ("reels/1.mp4", "h264", "reels/1.mp4"),
        ("reels/1.avi", "prores", "reels/1.avi.mov"),
        ("reels/scan", "ffv1", "reels/scan.mkv"),
        ("reels/scan.1931", "prores", "reels/scan.1931.mov"),
        (".", "ffv1", "film.mkv"),
        ("a/photo.tif", "jp2", "a/photo.tif.jp2"),
        ("photo.jp2", "jp2", "photo.jp2"),
        ("photo.tif", "jpeg", "photo.tif.jpg"),
        ("photo.JPG", "jpeg:2048", "photo.JPG"),
        ("akte.pdf", "pdf", "akte.pdf"),
        ("akte.pdf", "tiff", "akte.pdf.tif"),
    ],
)
def test_output_path(master: str, output_format: str, copy: str) -> None:
    assert output_path(master, output_format) == copy


def test_names_that_are_not_utf8_keep_their_bytes() -> None:
    master = path_to_text(Path(os.fsdecode(b"alb\xfcm/bild\xff.jpg")))
    assert os.fsencode(text_to_path(output_path(master, "tiff"))) == b"alb\xfcm/bild\xff.jpg.tif"


def test_the_later_of_two_with_the_same_copy_loses() -> None:
    assert find_conflicts(pairs("x/a.jpg.tif", "x/a.jpg", "x/b.jpg")) == {"x/a.jpg.tif": "x/a.jpg"}


def test_a_copy_cannot_lie_where_another_needs_a_folder() -> None:
    assert find_conflicts(pairs("a.jpg", "a.jpg.tif/inside.jpg")) == {"a.jpg.tif/inside.jpg": "a.jpg"}
    assert find_conflicts(pairs("a/inside.jpg", "b.jpg")) == {}


def test_a_film_has_a_path_for_each_format_the_main_one_first() -> None:
    assert output_paths("a/reel.avi", ("h264", "ffv1")) == ("a/reel.avi.mp4", "a/reel.avi.mkv")


def test_films_clash_with_folders_of_frames_and_in_their_further_formats() -> None:
    both = ("ffv1", "h264")
    assert find_conflicts(pairs("reel", "reel.mkv", formats=both)) == {"reel.mkv": "reel"}
    assert find_conflicts(pairs("reel", "reel.mp4", formats=both)) == {"reel.mp4": "reel"}
    assert find_conflicts(pairs("reel", "reel.mp4", formats=("ffv1",))) == {}
    assert find_conflicts([*pairs("reel.mp4/1.jpg"), *pairs("reel", formats=both)]) == {"reel.mp4/1.jpg": "reel"}


def test_one_that_lost_holds_no_place() -> None:
    """What has no copy keeps nothing from others: neither its first place nor its further ones."""
    formats = {"a": ("ffv1",), "a.mkv": ("ffv1", "h264"), "a.mkv.mp4": ("h264",)}
    copies = {path: output_paths(path, names) for path, names in formats.items()}
    assert find_conflicts(copies.items()) == {"a.mkv": "a"}


def test_pages_have_names_of_their_own() -> None:
    assert page_path("files/akte.pdf", 7, "jpeg:1024") == "files/akte.pdf.page-0007.jpg"
    assert page_path(r"tasse\xff.tif", 12, "jpeg") == r"tasse\xff.tif.page-0012.jpg"
