"""Formats have a PRONOM key only where it is certain."""

import pytest

from storage.exports.formats import UNKNOWN, format_of_output, format_of_source
from storage.exports.records import FileFormat


@pytest.mark.parametrize(
    ("name", "media_type"),
    [("tiff", "image/tiff"), (".TIF", "image/tiff"), (".jpg", "image/jpeg"), ("pdf", "application/pdf")],
)
def test_sources_have_a_media_type_and_no_key(name: str, media_type: str) -> None:
    assert format_of_source(name) == FileFormat(media_type)


@pytest.mark.parametrize("name", [None, "", ".xyz"])
def test_what_is_not_known(name: str | None) -> None:
    assert format_of_source(name) == UNKNOWN


def test_outputs() -> None:
    assert format_of_output("jp2") == FileFormat("image/jp2", "x-fmt/392")
    assert format_of_output("ffv1") == FileFormat("video/x-matroska", "fmt/569")
    assert format_of_output("pdf") == FileFormat("application/pdf")


def test_a_tiff_that_may_be_a_bigtiff_has_no_key() -> None:
    assert format_of_output("tiff", 12_000_000).pronom == "fmt/353"
    assert format_of_output("tiff", 5_000_000_000).pronom is None
    assert format_of_output("tiff").pronom is None
