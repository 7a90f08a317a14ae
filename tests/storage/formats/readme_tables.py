"""The tables of formats in README."""

import re
from pathlib import Path

from tests.storage.formats.making import Row

README = (Path(__file__).parents[3] / "README.md").read_text()
SECTION = README.split("## What goes in, what comes out\n")[1].split("\n## ")[0]


def table(heading: str) -> list[Row]:
    """The rows of the README's table whose first column is called so."""
    (found,) = re.findall(rf"^\| {heading} \|.*\n\|[-|]+\|\n((?:\|.*\n?)+)", SECTION, re.MULTILINE)
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in found.splitlines()]
