"""File names as text, there and back."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.paths import path_to_text, text_to_path


@given(st.binary(min_size=1, max_size=40).filter(lambda raw: b"\0" not in raw))
def test_every_name_comes_back_byte_for_byte(raw: bytes) -> None:
    path = Path(os.fsdecode(raw))
    text = path_to_text(path)
    assert os.fsencode(text_to_path(text)) == os.fsencode(path)
    text.encode("utf-8")
    assert len(text.splitlines()) <= 1


def test_usual_names_stay_as_they_are() -> None:
    for name in ("Fotos/1903/Straße – Überblick.tif", "写真　１.jpg", "a b.png"):
        assert path_to_text(Path(name)) == name


def test_what_is_not_utf8_is_written_as_hex() -> None:
    assert path_to_text(Path(os.fsdecode(b"B\xfccher/a.tif"))) == r"B\xfccher/a.tif"
    assert path_to_text("back\\slash\n") == r"back\\slash\x0a"


def test_a_stray_backslash_is_refused() -> None:
    with pytest.raises(ValueError, match="text form"):
        text_to_path(r"a\qb")
