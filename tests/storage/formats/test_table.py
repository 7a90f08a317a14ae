"""The tables of formats in README: each row is tried with files of its kind, and each test has its row."""

from tests.storage.formats.described_masters import METADATA
from tests.storage.formats.kept_metadata import KEPT
from tests.storage.formats.masters import MASTERS
from tests.storage.formats.readme_tables import table
from tests.storage.formats.refused_files import REFUSED


def test_every_row_has_a_test_and_every_test_a_row() -> None:
    assert table("master") == list(MASTERS)
    assert table("metadata of the master") == list(METADATA)
    assert table("metadata of the copy") == list(KEPT)
    assert table("refused") == list(REFUSED)
