"""The pictures that the review shows: made of masters, copies and references, small, and kept while memory allows."""

import io
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flows.report.gallery import gallery_folder
from flows.report.thumbnails import ThumbnailFolder
from storage.database import Database, colorizations
from storage.database.records import RecordedShot, ReferenceFile, RunColorization
from storage.decoding import Decoder
from storage.errors import StorageError
from storage.film import read_pictures
from storage.images import Master
from storage.masters import MAX_PIXELS
from storage.paths import path_to_text, text_to_path

Kind = Literal["grey", "colour"]
LARGE, SMALL = 1600, 360
"""Pixels on the long side: for a screen, for a list."""
_FILM_LONG_SIDE = 960
_CACHE_BYTES = 128 << 20
_MOST_THUMBNAIL_BYTES = 1 << 20
_UNSURE = (214, 0, 110)
"""The colour of what the network is unsure of; it is rare in photographs, and seen by the colour-blind."""


class NoPicture(Exception):  # noqa: N818 - a finding about one file, not about the program
    """Why a picture cannot be shown; the argument is one line for people."""


class PictureCache:
    """Encoded pictures by key, the ones looked at last, up to a number of bytes; each is made once at a time."""

    def __init__(self, most_bytes: int = _CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Any, bytes] = OrderedDict()
        self._being_made: dict[Any, Future[bytes]] = {}
        self._lock = Lock()

    def get(self, key: object, make: Callable[[], bytes]) -> bytes:
        """The picture with this key; whoever asks while it is being made waits for it, or for its error."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            other = self._being_made.get(key)
            mine: Future[bytes] = Future()
            if other is None:
                self._being_made[key] = mine
        if other is not None:
            return other.result()
        try:
            made = make()
        except BaseException as error:
            mine.set_exception(error)
            raise
        else:
            self.put(key, made)
            mine.set_result(made)
            return made
        finally:
            with self._lock:
                del self._being_made[key]

    def put(self, key: object, picture: bytes) -> None:
        """Keep a picture that came along with another."""
        with self._lock:
            self._bytes += len(picture) - len(self._kept.get(key, b""))
            self._kept[key] = picture
            self._kept.move_to_end(key)
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= len(self._kept.popitem(last=False)[1])


class Pictures:
    """Makes the pictures; safe to use from several threads."""

    def __init__(self, database: Database, decoder: Decoder, cache: PictureCache | None = None) -> None:
        self._database = database
        self._decoder = decoder
        self._cache = cache or PictureCache()
        self._at_once = BoundedSemaphore(2)  # a large picture needs a gigabyte until it is small

    def of_result(self, row: RunColorization, kind: Kind, shot: int | None = None) -> bytes:
        """The scan or its copy in colour as a JPEG for the screen; of a film the frame that stands for a shot.

        Raises:
            NoPicture: the file cannot be read, or is not the one that is on record.
        """
        if row.shots:
            return self._of_shot(row, kind, _shot(row, shot))
        return self._picture(row, kind, LARGE)

    def small(self, row: RunColorization) -> bytes:
        """The copy in colour as a JPEG for the list: the run's own thumbnail if it is there. Raises as `of_result`."""
        shot = row.shots[0] if row.shots else None
        thumbnail = _thumbnail(row, "colour", shot)
        if thumbnail is not None:
            return thumbnail
        if shot is not None:
            return self._of_shot(row, "colour", shot)
        return self._picture(row, "colour", SMALL)

    def of_reference(self, reference: ReferenceFile, *, large: bool = False) -> bytes:
        """A reference as a JPEG. Raises as `of_result`."""
        side = LARGE if large else SMALL
        file = text_to_path(reference.library or "") / text_to_path(reference.path)
        return self._read(file, 1, reference.sha256, MAX_PIXELS, side)

    def of_confidence(self, row: RunColorization, make: Callable[[], NDArray[np.float32]]) -> bytes:
        """How unsure the network is, as a PNG to lay over the picture; `make` gives (H, W) of 0..1, 1 is sure."""
        return self._cache.get((row.id, "confidence"), lambda: confidence_overlay(make()))

    def _picture(self, row: RunColorization, kind: Kind, side: int) -> bytes:
        most = max(MAX_PIXELS, (row.width or 0) * (row.height or 0))
        if kind == "grey":
            file = text_to_path(row.archive) / text_to_path(row.path)
            return self._read(file, row.page, row.source_sha256, most, side)
        return self._read(_output(row), self._page_in_copy(row), row.output_sha256, most, side)

    def _page_in_copy(self, row: RunColorization) -> int:
        """The page's number in the copy: a TIFF of a PDF has only those that were colorized."""
        if row.kind != "page" or row.output_format != "tiff" or not row.path.lower().endswith(".pdf"):
            return row.page
        rows = colorizations.find(self._database, row.output_root, row.path)
        done = [other.page for other in rows if other.state == "done" and other.output_path == row.output_path]
        return 1 + sum(page < row.page for page in done)

    def _read(self, file: Path, page: int, sha256: str | None, most_pixels: int, side: int) -> bytes:
        key = (file, page, sha256, side, _stamp(file))
        return self._cache.get(key, lambda: self._make(file, page, sha256, most_pixels, side))

    def _make(self, file: Path, page: int, sha256: str | None, most_pixels: int, side: int) -> bytes:
        with self._at_once:
            return as_jpeg(self._decoded(file, page, sha256, most_pixels).preview, side)

    def _decoded(self, file: Path, page: int, sha256: str | None, most_pixels: int) -> Master:
        try:
            master = self._decoder.read(file, page=page, max_pixels=most_pixels)
        except StorageError as error:
            raise NoPicture(str(error.args[0])) from error
        except OSError as error:
            raise NoPicture(f"{path_to_text(file)} cannot be read ({error.strerror or error})") from error
        if sha256 and master.sha256 != sha256:
            raise NoPicture(
                f"{path_to_text(file)} is not the file that is on record: it was changed since; "
                "`archive-colorizer verify` tells more"
            )
        return master

    def _of_shot(self, row: RunColorization, kind: Kind, shot: RecordedShot) -> bytes:
        return self._cache.get((row.id, kind, shot.number), lambda: self._make_shot(row, kind, shot))

    def _make_shot(self, row: RunColorization, kind: Kind, shot: RecordedShot) -> bytes:
        """The thumbnail that the run made; else the film is decoded once for the pictures of all its shots."""
        thumbnail = _thumbnail(row, kind, shot)
        if thumbnail is not None:
            return thumbnail
        shots = {one.shown_frame: one for one in row.shots if one.shown_frame is not None}
        if shot.shown_frame is None:
            raise NoPicture(f"{row.path}: no frame is on record to stand for shot {shot.number}")
        wanted = None
        try:
            for frame, colour, grey in read_pictures(_output(row), sorted(shots), _FILM_LONG_SIDE):
                for made_kind, pixels in (("colour", colour), ("grey", grey)):
                    picture = as_jpeg(pixels, _FILM_LONG_SIDE)
                    if (made_kind, frame) == (kind, shot.shown_frame):
                        wanted = picture
                    else:
                        self._cache.put((row.id, made_kind, shots[frame].number), picture)
        except StorageError as error:
            raise NoPicture(str(error.args[0])) from error
        except OSError as error:
            raise NoPicture(f"{path_to_text(_output(row))} cannot be read ({error.strerror or error})") from error
        if wanted is None:
            raise NoPicture(f"{row.path}: the copy has no frame {shot.shown_frame}")
        return wanted


def as_jpeg(pixels: NDArray[np.uint8] | NDArray[np.uint16], long_side: int) -> bytes:
    """(H, W) or (H, W, 3), sRGB, as a JPEG with at most so many pixels on its long side."""
    height, width = pixels.shape[:2]
    scale = min(1.0, long_side / max(height, width))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    stream = io.BytesIO()
    Image.fromarray(eight).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def confidence_overlay(confidence: NDArray[np.float32], long_side: int = 1024) -> bytes:
    """(H, W) of 0..1 as a PNG of one colour: clear where the network is sure (1), thick where it is not (0)."""
    height, width = confidence.shape
    scale = min(1.0, long_side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(np.nan_to_num(confidence), size, interpolation=cv2.INTER_AREA)
    overlay = np.empty((size[1], size[0], 4), np.uint8)
    overlay[..., :3] = _UNSURE
    overlay[..., 3] = np.rint((1 - np.clip(small, 0, 1)) * 180)
    stream = io.BytesIO()
    Image.fromarray(overlay).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


def _stamp(file: Path) -> tuple[int, int] | None:
    """What changes when the file does."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _shot(row: RunColorization, number: int | None) -> RecordedShot:
    found = [one for one in row.shots if number is None or one.number == number]
    if not found:
        raise NoPicture(f"{row.path} has no shot {number}")
    return found[0]


def _output(row: RunColorization) -> Path:
    """Where the copy is: in its place, or, if another has taken that, where it was moved to."""
    path = row.output_path if row.superseded_at is None else row.kept_path
    if path is None:
        raise NoPicture(f"{row.path}: this result was not kept when another took its place")
    return text_to_path(row.output_root) / text_to_path(path)


def _thumbnail(row: RunColorization, kind: Kind, shot: RecordedShot | None) -> bytes | None:
    folder = ThumbnailFolder(gallery_folder(text_to_path(row.output_root), row.run_id))
    file = (folder.colour if kind == "colour" else folder.grey)(row.item_id, shot.number if shot else 0)
    try:
        if file.stat().st_size > _MOST_THUMBNAIL_BYTES:
            return None
        return file.read_bytes()
    except OSError:
        return None
