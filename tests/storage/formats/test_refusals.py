"""Files that cannot be used are refused with the kind of error that the README's table names."""

from collections.abc import Callable
from pathlib import Path

import pytest

from storage.errors import UnreadableImage
from storage.masters import read_master
from tests.storage.formats.making import Row
from tests.storage.formats.refused_files import REFUSED

REFUSALS = [
    pytest.param(row, make, id=f"{row[0][:40]}-{number}")
    for row, made in REFUSED.items()
    for number, make in enumerate(made)
]


@pytest.mark.parametrize(("row", "make"), REFUSALS)
def test_refusals(tmp_path: Path, row: Row, make: Callable[[Path], object]) -> None:
    make(tmp_path / "scan no. 7")
    limit = 1000 if row[1] == "too_large" else 1_000_000
    with pytest.raises(UnreadableImage) as refused:
        read_master(tmp_path / "scan no. 7", max_pixels=limit)
    assert refused.value.error_type == row[1]
    assert refused.value.message.startswith("scan no. 7 ")
    assert "\n" not in refused.value.message
