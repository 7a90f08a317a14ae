"""One photograph or document for viewers of the web: its pictures as JPEG, and its manifest."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flows.exports.iiif_facts import facts_of, statement_of
from flows.exports.works import MadeFile, Work, used_references
from storage.database import Database, exporting, reference_metadata, runs
from storage.database.records import RunColorization, StoredRun
from storage.decoding import Decoder
from storage.errors import StorageError
from storage.exports.iiif import Entry, Leaf, Picture, Statement, manifest, manifest_path
from storage.exports.iiif import Work as IiifWork
from storage.exports.media_types import PDF, media_type_of
from storage.images import PictureDescription, describe
from storage.paths import text_to_path

LONG_SIDE = 3000  # pixels, of the pictures that are shown
THUMBNAIL_SIDE = 400
_QUALITY = 88
_RIGHTS = re.compile(
    r"https?://(creativecommons\.org/(?:licenses|publicdomain)/[a-z0-9.+/-]*[a-z0-9/]"
    r"|rightsstatements\.org/vocab/[A-Za-z-]+/[0-9.]+/)"
)
"""The addresses that `rights` may have (section 3.1)."""


@dataclass(slots=True)
class ExportedWork:
    """What became of a work; `entry` is None where nothing of it is shown."""

    archive: str
    path: str
    entry: Entry | None = None
    canvases: int = 0
    rejected: int = 0
    is_film: bool = False
    failed: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class WorkExporter:
    """Writes works below `folder`, which will be served at `address`; threads may share it."""

    database: Database
    decoder: Decoder
    folder: Path
    address: str

    def write(self, work: Work) -> ExportedWork:
        """Write the pictures and the manifest of a work."""
        done = ExportedWork(work.archive, work.path)
        if work.rows[0].kind == "film":
            done.is_film = True
            return done
        return _WorkInHand(self, work, done).write()

    def picture(self, pixels: NDArray[Any], path: str, long_side: int) -> Picture:
        """Write pixels as a JPEG of at most `long_side` pixels."""
        image = Image.fromarray(_eight_bits(pixels, long_side))
        image.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        image.save(place, "JPEG", quality=_QUALITY)
        return Picture(path, *image.size)


class _WorkInHand:
    """One work while it is written."""

    def __init__(self, exporter: WorkExporter, work: Work, done: ExportedWork) -> None:
        self._exporter, self._work, self._done = exporter, work, done
        self._name = work_name(work.archive, work.path)
        self._source = text_to_path(work.absolute_path)
        self._source_is_pdf = work.rows[0].kind == "page" and media_type_of(self._source) == PDF
        self._rows = {row.page: row for row in work.rows}
        ids = [row.id for row in work.rows]
        self._reviews = {id_: found[-1] for id_, found in exporting.reviews(exporter.database, ids).items()}
        self._runs: dict[int, StoredRun] = {}
        self._described: PictureDescription | None = None
        self._shown: list[RunColorization] = []

    def write(self) -> ExportedWork:
        leaves = [leaf for page in self._pages() if (leaf := self._leaf(page)) is not None]
        if not leaves:
            return self._done
        described = self._described or PictureDescription()
        title = PurePosixPath(self._work.path).name
        work = IiifWork(
            name=self._name,
            label=title,
            leaves=leaves,
            summary=described.caption,
            facts=[*self._facts(described)],
            rights=_rights(described.rights),
            statement=self._statement(self._shown),
        )
        path = manifest_path(self._name)
        place = self._exporter.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        content = manifest(self._exporter.address, work)
        place.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        self._done.entry = Entry("Manifest", path, title, leaves[0].thumbnail)
        self._done.canvases = len(leaves)
        return self._done

    def _pages(self) -> list[int]:
        """The numbers of the pages: those of a document that have no colours are shown as well."""
        if self._work.rows[0].kind != "page":
            return [row.page for row in self._work.rows]
        try:
            facts = self._exporter.decoder.identify(self._source)
        except (StorageError, OSError) as error:
            self._fail(self._work.path, error)
            return []
        return [number for number, page in enumerate(facts, start=1) if page.width and page.height]

    def _leaf(self, page: int) -> Leaf | None:
        row = self._rows.get(page)
        where = f"images/{self._name}/{page}"
        try:
            scan = self._exporter.decoder.read(self._source, page=page)
        except (StorageError, OSError) as error:
            self._fail(self._named(page), error)
            return None
        recorded = self._work.rows[0].source_sha256
        if recorded is not None and scan.sha256 != recorded:
            self._done.failed.append((self._named(page), "the scan is not the file on record any more: left out"))
            return None
        if page == self._work.rows[0].page:
            self._described = describe(scan.metadata)
        pixels = scan.preview
        shown = self._exporter.picture(pixels, f"{where}/scan.jpg", LONG_SIDE)
        thumbnail = self._exporter.picture(pixels, f"{where}/thumbnail.jpg", THUMBNAIL_SIDE)
        colour = self._colour(row, f"{where}/colour.jpg") if row is not None else None
        facts: list[tuple[str, str]] = []
        if row is not None and colour is not None:
            self._shown.append(row)
            facts = facts_of(row, self._run(row), self._reviews.get(row.id), self._rights_of_references(row))
        return Leaf(
            name=str(page),
            label=str(page) if self._work.rows[0].kind == "page" else PurePosixPath(self._work.path).name,
            width=scan.facts.width,
            height=scan.facts.height,
            scan=shown,
            colour=colour,
            thumbnail=thumbnail,
            facts=facts,
            statement=self._statement([row]) if row is not None and colour is not None else None,
        )

    def _colour(self, row: RunColorization, path: str) -> Picture | None:
        """The coloured picture; None if it was rejected, or cannot be shown."""
        review = self._reviews.get(row.id)
        if review is not None and review.decision == "rejected":
            self._done.rejected += 1
            return None
        made = self._made(row)
        try:
            output = self._exporter.decoder.read(text_to_path(made.absolute_path), page=self._page_in(made, row))
        except (StorageError, OSError) as error:
            self._fail(made.path, error)
            return None
        if output.sha256 != made.sha256:
            self._done.failed.append(
                (made.path, "the output is not the file on record any more: only the scan is shown")
            )
            return None
        return self._exporter.picture(output.preview, path, LONG_SIDE)

    def _made(self, row: RunColorization) -> MadeFile:
        """The file that the coloured picture is in."""
        return next(made for made in self._work.made if made.path == row.output_path and row in made.rows)

    def _page_in(self, made: MadeFile, row: RunColorization) -> int:
        """The number of a page in the copy: a TIFF made of a PDF has only the pages in colour."""
        if row.output_format == "tiff" and self._source_is_pdf:
            return 1 + sorted(one.page for one in made.rows).index(row.page)
        return row.page

    def _statement(self, rows: Sequence[RunColorization]) -> Statement | None:
        if not rows:
            return None
        made_by = {(self._run(row).code_version, row.weights_sha256 or self._run(row).weights_sha256) for row in rows}
        return statement_of(sorted(made_by), used_references(rows))

    def _rights_of_references(self, row: RunColorization) -> list[str]:
        """What is said of the rights in the references of a result."""
        ids = [one.id for one in used_references([row]) if one.id is not None]
        found = reference_metadata.get(self._exporter.database, ids)
        return sorted({one.rights for one in found.values() if one.rights is not None})

    def _run(self, row: RunColorization) -> StoredRun:
        if row.run_id not in self._runs:
            found = runs.get(self._exporter.database, row.run_id)
            if found is None:
                raise RuntimeError(f"there is no run {row.run_id}, which made something")
            self._runs[row.run_id] = found
        return self._runs[row.run_id]

    def _facts(self, described: PictureDescription) -> Iterator[tuple[str, str]]:
        yield "Path in the archive", self._work.path
        source_sha256 = self._work.rows[0].source_sha256
        if source_sha256 is not None:
            yield "SHA-256 of the scan", source_sha256
        told = {"Creator": described.creator, "Date": described.created, "Rights": described.rights}
        yield from ((label, value) for label, value in told.items() if value is not None)

    def _named(self, page: int) -> str:
        return f"{self._work.path}, page {page}" if self._work.rows[0].kind == "page" else self._work.path

    def _fail(self, what: str, error: StorageError | OSError) -> None:
        reason = error.message if isinstance(error, StorageError) else error.strerror or str(error)
        self._done.failed.append((what, reason))


def work_name(archive: str, path: str) -> str:
    """What a work is called in addresses: words of its name, and a digest that keeps it apart from all others."""
    return f"{_words(PurePosixPath(path).stem)}-{_digest(archive, path)}"


def folder_name(archive: str, folder: str) -> str:
    """What a folder of an archive is called in addresses."""
    return f"{_words(PurePosixPath(archive, folder).name)}-{_digest(archive, folder)}"


def _words(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "item"


def _digest(archive: str, path: str) -> str:
    return hashlib.sha256(f"{archive}\0{path}".encode()).hexdigest()[:12]


def _rights(text: str | None) -> str | None:
    """The address of a known licence or rights statement in a text, as IIIF wants it written."""
    found = _RIGHTS.search(text or "")
    return None if found is None else f"http://{found[1]}"


def _eight_bits(pixels: NDArray[Any], long_side: int) -> NDArray[np.uint8]:
    """8-bit samples; a much larger picture is reduced first, which is far quicker."""
    height, width = pixels.shape[:2]
    factor = max(height, width) // (2 * long_side)
    if factor > 1 and min(height, width) >= factor:
        pixels = cv2.resize(pixels, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels.astype(np.uint8)
