"""The references of a library as rows to be listed, read without networks and index."""

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from flows.listing import ListingFormat
from storage.database import Database, reference_metadata, references
from storage.database.records import KnownReference, ReferenceMetadata
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import ReferenceFilter

LIBRARY_ROOT = "."
"""How a library folder records its own root (`retrieval.library`, which is not imported for its sake)."""

_FACTS = ("id", "path", "width", "height", "sha256")
_LINK = "near_duplicate_of"
_COLUMNS = (*_FACTS, "caption", "rights", "creator", "date", "year_first", "year_last", "tags", _LINK)
_CHUNK = 1000


def columns(form: ListingFormat) -> tuple[str, ...]:
    """A table shows what fits; CSV and JSON have all, named so that the CSV can be given to `references add`."""
    return (*_FACTS, "caption", "rights", "years", "tags", _LINK) if form is ListingFormat.TABLE else _COLUMNS


def listed(
    database: Database, library: Path, where: "ReferenceFilter | None", form: ListingFormat
) -> Iterator[dict[str, object]]:
    """A row for each reference of the library folder that passes the filter, by rising id, read as they are needed."""
    root = library.resolve()
    allowed: set[int] | None = None
    if where is not None:
        from retrieval.filters import allowed_ids

        allowed = {*allowed_ids(database, LIBRARY_ROOT, root, where).tolist()}
    found = (one for one in references.active(database, LIBRARY_ROOT) if allowed is None or one.id in allowed)
    while chunk := list(islice(found, _CHUNK)):
        metadata = reference_metadata.get(database, [one.id for one in chunk])
        for one in chunk:
            yield _row(one, metadata.get(one.id, ReferenceMetadata()), root, form)


def _row(one: KnownReference, metadata: ReferenceMetadata, root: Path, form: ListingFormat) -> dict[str, object]:
    years = [str(year) for year in dict.fromkeys((metadata.year_first, metadata.year_last)) if year is not None]
    return {
        "id": one.id,
        "path": path_to_text(os.path.normpath(root / text_to_path(one.path))),
        "width": one.width,
        "height": one.height,
        "sha256": one.sha256,
        "caption": metadata.caption,
        "rights": metadata.rights,
        "creator": metadata.creator,
        "date": metadata.created,
        "year_first": metadata.year_first,
        "year_last": metadata.year_last,
        "years": "-".join(years),
        _LINK: one.near_duplicate_of,
        "tags": [*metadata.tags] if form is ListingFormat.JSON else "; ".join(metadata.tags),
    }
