"""Copying a library's references, with their vectors and parts, into another database."""

import logging
from pathlib import Path

import numpy as np

from retrieval.embedding import Embedder
from retrieval.files import path_of, text_of
from retrieval.records import AddReport
from storage.database import Database, reference_parts, references
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
    embedder: Embedder,
    run_id: int | None,
) -> AddReport:
    """Make the references of ``library`` in ``target`` those that are in use in ``source``.

    Args:
        source: the database of a library folder.
        source_root: that folder.
        target: the database to copy into.
        root: what paths in ``target`` are relative to.
        library: ``root`` as it is recorded.
        embedder: only vectors of its version can be searched together.
        run_id: the run that copies, for the record.
    """
    embedding_version = embedder.version
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
    _copy_parts(source, target, library, embedder.parts_version)
    return AddReport(
        added=len(new),
        unchanged=len(records) - len(new),
        linked=len(new),
        retired=sum(one.state == "active" for one in gone),
    )


def _copy_parts(source: Database, target: Database, library: str, version: str) -> None:
    """Take over the parts that the target lacks; a library from before has none."""
    lacking = reference_parts.without(target, version, library)
    for start in range(0, len(lacking), _CHUNK):
        some = references.get(target, lacking[start : start + _CHUNK])
        found = reference_parts.of_contents(source, version, {one.sha256 for one in some.values() if one.sha256})
        reference_parts.record(
            target, version, {one.id: found[one.sha256] for one in some.values() if one.sha256 in found}
        )
