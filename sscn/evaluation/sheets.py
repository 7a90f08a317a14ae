"""Contact sheets: what the methods made of each case, side by side, for the eye to judge."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from sscn.evaluation.baselines import grey
from sscn.evaluation.comparison import Finished
from sscn.evaluation.pictures8 import Picture8

ROWS_A_SHEET = 10
CELL = 160
"""Pixels."""
_LABEL = 14
_PAPER, _INK = (250, 250, 248), (30, 30, 30)


@dataclass
class ContactSheets:
    """Collects finished cases and lays them out: grey target, reference, truth, and each shown method."""

    methods: Sequence[str]
    """Names of the methods to show."""
    _rows: dict[str, list[Image.Image]] = field(default_factory=dict)

    def add(self, case: Finished) -> None:
        """Take one case; only thumbnails are kept."""
        pair = case.pair
        pictures = [grey(pair.truth), pair.reference, pair.truth, *(case.pictures[name] for name in self.methods)]
        title = "   ".join(filter(None, [pair.variant, pair.name, f"after {pair.reference_name}"]))
        self._rows.setdefault(pair.kind, []).append(_row(pictures, title))

    def sheets(self) -> dict[str, Image.Image]:
        """The sheets by name, e.g. ``halves-01``; each has cases of one kind."""
        found = {}
        header = _header(["target", "reference", "truth", *self.methods])
        for kind, rows in self._rows.items():
            for number, start in enumerate(range(0, len(rows), ROWS_A_SHEET), 1):
                name = f"{kind.replace(' ', '-')}-{number:02}"
                found[name] = _stack([header, *rows[start : start + ROWS_A_SHEET]])
        return found


def _row(pictures: Sequence[Picture8], title: str) -> Image.Image:
    row = Image.new("RGB", (CELL * len(pictures), CELL + _LABEL), _PAPER)
    for column, picture in enumerate(pictures):
        small = ImageOps.contain(Image.fromarray(np.ascontiguousarray(picture)), (CELL - 4, CELL - 4))
        row.paste(small, (column * CELL + (CELL - small.width) // 2, (CELL - small.height) // 2))
    _write(row, (4, CELL), title)
    return row


def _header(names: Sequence[str]) -> Image.Image:
    header = Image.new("RGB", (CELL * len(names), _LABEL + 4), _PAPER)
    for column, name in enumerate(names):
        _write(header, (column * CELL + 4, 2), name)
    return header


def _write(image: Image.Image, place: tuple[int, int], text: str) -> None:
    ImageDraw.Draw(image).text(place, text, fill=_INK, font=ImageFont.load_default(11))


def _stack(strips: Sequence[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (strips[0].width, sum(strip.height for strip in strips)), _PAPER)
    top = 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet
