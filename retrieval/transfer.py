"""Copying a library's references, with their vectors, into another database."""

import logging
from pathlib import Path

import numpy as np

from retrieval.files import path_of, text_of
from retrieval.records import AddReport
from storage.database import Database, references
from storage.database.records import ReferenceRecord
from storage.paths import text_to_path

log = logging.getLogger(__name__)

_CHUNK = 1000


def copy_library(
    source: Database,
    source_root: Path,
    target: Database,
    root: Path,
    library: str,
    embedding_version: str,
    run_id: int | None,
) -> AddReport:
    """Make the references of ``library`` in ``target`` those that are in use in ``source``.

    Args:
        source: the database of a library folder.
        source_root: that folder.
        target: the database to copy into.
        root: what paths in ``target`` are relative to.
        library: ``root`` as it is recorded.
        embedding_version: only vectors of this version can be searched together.
        run_id: the run that copies, for the record.
    """
    ids, vectors = references.vectors(source, embedding_version)
    rows = references.get(source, ids.tolist())
    records = {}
    for reference_id, vector in zip(ids.tolist(), vectors, strict=True):
        row = rows[reference_id]
        text = text_of(path_of(row.path, source_root / text_to_path(row.library)), root)
        records[text] = ReferenceRecord(
            library=library,
            path=text,
            sha256=row.sha256 or "",
            width=row.width or 0,
            height=row.height or 0,
            embedding_version=embedding_version,
            embedding=np.asarray(vector, np.float32),
            size_bytes=row.size_bytes,
            mtime_ns=row.mtime_ns,
            added_by_run_id=run_id,
        )
    known = references.known(target, library)
    new = []
    for text, record in records.items():
        old = known.get(text)
        there = old is not None and old.state == "active"
        if not there or old is None or (old.sha256, old.embedding_version) != (record.sha256, embedding_version):
            new.append(record)
    gone = [one for text, one in known.items() if text not in records]
    for start in range(0, len(new), _CHUNK):
        references.upsert(target, new[start : start + _CHUNK])
    references.retire(target, [one.id for one in gone])
    return AddReport(
        added=len(new),
        unchanged=len(records) - len(new),
        linked=len(new),
        retired=sum(one.state == "active" for one in gone),
    )
