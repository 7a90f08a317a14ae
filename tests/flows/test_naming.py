"""Copies mirror the archive's tree; no copy can take another's place."""

import os
from pathlib import Path

import pytest

from flows.naming import find_conflicts, output_path
from storage.paths import path_to_text, text_to_path


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
    ],
)
def test_output_path(master: str, output_format: str, copy: str) -> None:
    assert output_path(master, output_format) == copy


def test_names_that_are_not_utf8_keep_their_bytes() -> None:
    master = path_to_text(Path(os.fsdecode(b"alb\xfcm/bild\xff.jpg")))
    assert os.fsencode(text_to_path(output_path(master, "tiff"))) == b"alb\xfcm/bild\xff.jpg.tif"


def test_the_later_of_two_with_the_same_copy_loses() -> None:
    assert find_conflicts(["x/a.jpg.tif", "x/a.jpg", "x/b.jpg"], "tiff") == {"x/a.jpg.tif": "x/a.jpg"}


def test_a_copy_cannot_lie_where_another_needs_a_folder() -> None:
    assert find_conflicts(["a.jpg", "a.jpg.tif/inside.jpg"], "tiff") == {"a.jpg.tif/inside.jpg": "a.jpg"}
    assert find_conflicts(["a/inside.jpg", "b.jpg"], "tiff") == {}
