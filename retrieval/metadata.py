"""What describes references, as their files tell it."""

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from retrieval.eras import years_of
from retrieval.files import path_of
from storage.database import Database, reference_metadata
from storage.database.records import ReferenceMetadata
from storage.errors import UnreadableImage
from storage.images import PictureDescription, describe, read_metadata

log = logging.getLogger(__name__)

_TOGETHER = 500
"""References recorded together; a kill loses at most this much reading."""
_READERS = 4
"""Headers are short: who reads them waits for the disk."""


def ask_files(database: Database, library: str, root: Path) -> None:
    """Read what describes them from the files of all references of a library that have not been asked yet.

    Only headers are read. A picture that is not there now is asked another time.
    """
    found: dict[int, ReferenceMetadata] = {}
    for id_, metadata in _read_all(reference_metadata.unread(database, library), root):
        if metadata is not None:
            found[id_] = metadata
        if len(found) == _TOGETHER:
            reference_metadata.record(database, found)
            found = {}
    reference_metadata.record(database, found)


def dated(description: PictureDescription) -> ReferenceMetadata:
    """The record of a description, its date understood as years where that is possible."""
    years = years_of(description.created) if description.created else None
    return ReferenceMetadata(
        caption=description.caption,
        rights=description.rights,
        creator=description.creator,
        created=description.created,
        year_first=years[0] if years else None,
        year_last=years[1] if years else None,
        tags=description.tags,
    )


def _read_all(asked: list[tuple[int, str]], root: Path) -> Iterator[tuple[int, ReferenceMetadata | None]]:
    waiting: deque[tuple[int, Future[ReferenceMetadata | None]]] = deque()
    with ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="metadata-reader") as pool:
        for id_, text in asked:
            waiting.append((id_, pool.submit(_read, path_of(text, root))))
            if len(waiting) > 4 * _READERS:
                first, future = waiting.popleft()
                yield first, future.result()
        for id_, future in waiting:
            yield id_, future.result()


def _read(path: Path) -> ReferenceMetadata | None:
    """None if the file is not there; nothing is known of one whose header is damaged."""
    if not path.is_file():
        return None
    try:
        return dated(describe(read_metadata(path)))
    except UnreadableImage as error:
        log.warning("nothing is read of what describes a reference: %s", error.message)
        return ReferenceMetadata()
