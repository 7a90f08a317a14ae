"""Copying a library's references, with their vectors, parts and what describes them, into another database."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from retrieval.embedding import Embedder
from retrieval.files import path_of, text_of
from retrieval.records import AddReport
from storage.database import Database, reference_metadata, reference_parts, reference_vectors, references
from storage.database.records import KnownReference, ReferenceRecord
from storage.paths import text_to_path

_CHUNK = 1000


def copy_library(
    source: Database,
    source_root: Path,
    recorded_root: str,
    target: Database,
    root: Path,
    library: str,
    embedder: Embedder,
    run_id: int | None,
) -> AddReport:
    """Make the references of ``library`` in ``target`` those that are in use in ``source``.

    Only what is new there is written, so that a large library that is taken over again costs little.

    Args:
        source: the database of a library folder.
        source_root: that folder.
        recorded_root: how it is recorded in ``source``.
        target: the database to copy into.
        root: what paths in ``target`` are relative to.
        library: ``root`` as it is recorded.
        embedder: only vectors of its version can be searched together.
        run_id: the run that copies, for the record.
    """
    folder = source_root / text_to_path(recorded_root)
    kept: set[int] = set()
    added = unchanged = 0
    for rows in _chunks(source, recorded_root, embedder.version):
        texts = {text_of(path_of(row.path, folder), root): row for row in rows}
        there = references.at_paths(target, library, texts)
        new = {text: row for text, row in texts.items() if not _is_same(there.get(text), row)}
        unchanged += len(texts) - len(new)
        added += len(new)
        vectors = reference_vectors.of(source, [row.id for row in new.values()])
        records = [
            ReferenceRecord(
                library=library,
                path=text,
                sha256=row.sha256 or "",
                width=row.width or 0,
                height=row.height or 0,
                embedding_version=embedder.version,
                embedding=vectors[row.id],
                size_bytes=row.size_bytes,
                mtime_ns=row.mtime_ns,
                added_by_run_id=run_id,
            )
            for text, row in new.items()
            if row.id in vectors
        ]
        ids = {text: there[text].id for text in texts if text not in new} | references.upsert(target, records)
        kept.update(ids.values())
        _copy_metadata(source, target, {texts[text].id: id_ for text, id_ in ids.items()})
    gone = [id_ for id_ in references.live_ids(target, library) if id_ not in kept]
    retired = references.retire(target, gone)
    _copy_parts(source, target, library, embedder.parts_version)
    _copy_links(source, folder, recorded_root, target, root, library)
    return AddReport(added=added, unchanged=unchanged, linked=added, retired=retired)


def _chunks(source: Database, library: str, embedding_version: str) -> Iterator[list[KnownReference]]:
    rows = (row for row in references.active(source, library) if row.embedding_version == embedding_version)
    while chunk := list(islice(rows, _CHUNK)):
        yield chunk


def _is_same(old: KnownReference | None, row: KnownReference) -> bool:
    if old is None or old.state != "active":
        return False
    return (old.sha256, old.embedding_version) == (row.sha256, row.embedding_version)


def _copy_metadata(source: Database, target: Database, ids: dict[int, int]) -> None:
    """Take over what describes references, given by their ids in the source with those in the target."""
    found = reference_metadata.get(source, ids)
    reference_metadata.record(target, {ids[id_]: metadata for id_, metadata in found.items()})


def _copy_parts(source: Database, target: Database, library: str, version: str) -> None:
    """Take over the parts that the target lacks; a library from before has none."""
    lacking = reference_parts.without(target, version, library)
    for start in range(0, len(lacking), _CHUNK):
        some = references.get(target, lacking[start : start + _CHUNK])
        found = reference_parts.of_contents(source, version, {one.sha256 for one in some.values() if one.sha256})
        reference_parts.record(
            target, version, {one.id: found[one.sha256] for one in some.values() if one.sha256 in found}
        )


def _copy_links(source: Database, folder: Path, recorded_root: str, target: Database, root: Path, library: str) -> None:
    """Link the near-duplicates as they are in the source; where the oldest is not there, to the next one that is."""
    groups = references.linked(source, recorded_root)
    wanted: dict[int, int | None] = dict.fromkeys(references.linked(target, library))
    ids = sorted({*groups, *groups.values()})
    oldest: dict[int, int] = {}
    for start in range(0, len(ids), _CHUNK):
        rows = references.get(source, ids[start : start + _CHUNK])
        texts = {id_: text_of(path_of(row.path, folder), root) for id_, row in rows.items() if row.state == "active"}
        there = references.at_paths(target, library, texts.values())
        for id_ in sorted(texts):
            here = there.get(texts[id_])
            if here is not None and here.state == "active":
                first = oldest.setdefault(groups.get(id_, id_), here.id)
                wanted[here.id] = first if first != here.id else None
    references.link(target, wanted)
