"""The items of a gallery as small script files, which a page opened from a folder may load (it may fetch none).

A list of all pictures with what is filtered and ordered by, in parts of 5,000; and what else is known of each, in parts
of 500 that are loaded when they are seen. A picture here is a photograph, a page, or one shot of a film.
"""

import hashlib
import json
import math
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flows.report.evidence import Decision, Evidence
from flows.report.order import has_page_number
from flows.report.thumbnails import ThumbnailFolder
from storage.database.records import RecordedShot, RunColorization
from storage.paths import text_to_path

LIST_ITEMS = 5000
CHUNK_ITEMS = 500
FOLDER = "data"

_KINDS = ("photograph", "page", "film")
_STATES = ("failed", "skipped", "done")
_REVIEWS = (None, "approved", "rejected", "replaced")


@dataclass(frozen=True, slots=True)
class ScriptData:
    """Texts of the files by their name in the gallery, and the digest that they all bear."""

    files: dict[str, str]
    version: str


def script_data(
    rows: Sequence[RunColorization], evidence: Evidence, thumbnails: ThumbnailFolder, there: Collection[str]
) -> ScriptData:
    """The files for items in the order of the gallery.

    Args:
        there: names of the thumbnails that exist.
    """
    references = _References(thumbnails, there)
    pictures = [(row, shot) for row in rows for shot in (row.shots if row.state == "done" and row.shots else (None,))]
    listed = []
    earlier = None
    for row, shot in pictures:
        listed.append(_listed(row, shot, row.path != earlier, references, evidence, thumbnails, there))
        earlier = row.path
    known = [_known(row, shot, evidence) for row, shot in pictures]
    parts = [("list", part) for part in _parts(listed, LIST_ITEMS)] + [
        ("items", part) for part in _parts(known, CHUNK_ITEMS)
    ]
    run = {"pictures": len(pictures), "items": len(rows), "listItems": LIST_ITEMS, "chunkItems": CHUNK_ITEMS}
    texts = {f"{FOLDER}/run.js": _script("run", 1, run | {"references": references.listed})}
    numbers = {"list": 0, "items": 0}
    for what, part in parts:
        numbers[what] += 1
        texts[f"{FOLDER}/{what}-{numbers[what]:04}.js"] = _script(what, numbers[what], part)
    digest = hashlib.sha256()
    for text in texts.values():
        digest.update(text.encode("ascii"))
    version = digest.hexdigest()[:16]
    return ScriptData({name: f'galleryData("{version}",{text}' for name, text in texts.items()}, version)


def link_to(output_path: str) -> str:
    """Address of a copy, from the gallery's folder (OUTPUT/gallery/run-N)."""
    return quote(os.fsencode(Path("../..") / text_to_path(output_path)))


class _References:
    """The references that the pictures have, each once, by number from 0."""

    def __init__(self, thumbnails: ThumbnailFolder, there: Collection[str]) -> None:
        self.listed: list[tuple[int, str, int]] = []
        self._numbers: dict[tuple[int | None, str], int] = {}
        self._thumbnails, self._there = thumbnails, there

    def number(self, id_: int | None, path: str | None) -> int:
        if path is None:
            return -1
        if (id_, path) not in self._numbers:
            is_there = id_ is not None and self._thumbnails.reference(id_).name in self._there
            self._numbers[id_, path] = len(self.listed)
            self.listed.append((id_ or 0, path, int(is_there)))
        return self._numbers[id_, path]


def _listed(
    row: RunColorization,
    shot: RecordedShot | None,
    is_new_path: bool,
    references: _References,
    evidence: Evidence,
    thumbnails: ThumbnailFolder,
    there: Collection[str],
) -> list[Any]:
    """One line of the list; its columns are those of `Data.entry` in gallery-data.js."""
    number = shot.number if shot is not None else 0
    of = shot if shot is not None else row
    decision = evidence.decision(row.id, number or None)
    flags = (
        bool(of.low_match and row.state == "done"),
        thumbnails.grey(row.item_id, number).name in there,
        thumbnails.colour(row.item_id, number).name in there,
        row.superseded_at is not None,
        has_page_number(row),
    )
    return [
        row.item_id,
        number,
        row.path if is_new_path else 0,
        row.page,
        _KINDS.index(row.kind),
        _STATES.index(row.state),
        _rounded(of.confidence),
        _rounded(of.match_confidence),
        sum(1 << bit for bit, is_set in enumerate(flags) if is_set),
        _REVIEWS.index(decision.decision if decision is not None else None),
        references.number(of.reference_id, of.reference_path) if row.state == "done" else -1,
        _rounded(row.width / row.height if row.width and row.height else 0),
    ]


def _known(row: RunColorization, shot: RecordedShot | None, evidence: Evidence) -> dict[str, Any]:
    """What else is known of a picture; what is not is left away."""
    known: dict[str, Any] = {"message": row.message}
    if row.state != "done":
        return _without_none(known | {"stage": row.stage})
    of = shot if shot is not None else row
    number = shot.number if shot is not None else 0
    candidates = [one for one in row.candidates if one.shot == number]
    known |= {
        "output": [[row.output_path, link_to(row.output_path)]] if row.output_path else [],
        "choice": of.reference_choice,
        "score": _rounded(of.reference_score),
        "rank": of.reference_rank,
        "candidates": len(candidates),
        "others": [[one.path, _rounded(one.score)] for one in candidates if not one.chosen],
        "size": [row.width, row.height, row.bit_depth],
        "networkSize": row.network_size,
        "seconds": _rounded(of.seconds),
        "sha256": [row.source_sha256, row.output_sha256, of.reference_sha256],
        "review": _review(evidence.decision(row.id, number or None)),
    }
    known["output"] += [[copy.output_path, link_to(copy.output_path)] for copy in row.copies]
    if shot is not None:
        known |= {
            "frames": [shot.first_frame, shot.last_frame],
            "flicker": _rounded(shot.flicker),
            "framesASecond": _rounded(shot.fps),
            "film": _without_none(
                {
                    "frames": row.frames,
                    "shots": len(row.shots),
                    "confidence": _rounded(row.confidence),
                    "seconds": _rounded(row.seconds),
                }
            ),
        }
    return _without_none(known)


def _review(decision: Decision | None) -> list[str | None] | None:
    if decision is None:
        return None
    return [
        decision.decision,
        decision.reviewer,
        f"{decision.at:%Y-%m-%d %H:%M %Z}",
        decision.reason,
        decision.other_reference_path,
    ]


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _rounded(value: float | None) -> float | None:
    return round(value, 3) if value is not None and math.isfinite(value) else None


def _parts(values: Sequence[Any], length: int) -> Iterator[Sequence[Any]]:
    for start in range(0, max(1, len(values)), length):
        yield values[start : start + length]


def _script(what: str, number: int, content: object) -> str:
    """The rest of a call; ASCII, without `<` or line ends of Unicode, so that no text can end the script."""
    encoded = json.dumps(content, ensure_ascii=True, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'"{what}",{number},{encoded});\n'
