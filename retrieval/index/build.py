"""Builds: made from the database, continued with what is new, and read from the disk."""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from retrieval.index.content import Digests, Ids, changed_content, content_of, digests_of
from retrieval.index.flat import FlatVectors, Vectors
from retrieval.index.folder import new_file, open_checked, sweep
from retrieval.index.index import Base, VectorIndex
from retrieval.index.ivf import IvfVectors, fitting_probes, read_lists, trained, write_lists
from retrieval.index.manifest import Anchors, IndexFile, InvertedLists, Manifest, StaleIndex, write_manifest
from retrieval.index.plan import IndexPlan
from retrieval.index.readers import VectorFiles
from retrieval.index.rows import DEAD, Rows, encode_rows
from storage.database.reference_vectors import ReferenceVectors

_MOST_FILES = 8
"""Files of vectors, after which they are written into one again."""


@dataclass(frozen=True, slots=True)
class Source:
    """What an index is built from: a library, the embedding's version and dimension, the last change that was made
    before the vectors were read, and what tells its database from others."""

    library: str
    embedding_version: str
    dimension: int
    change: int
    anchors: Callable[[Ids], Anchors]


def build(folder: Path, source: Source, references: Iterable[ReferenceVectors], plan: IndexPlan) -> Manifest:
    """Build an index anew from references in the order in which they come; `save` makes it the folder's.

    Raises:
        OSError: the folder cannot be written to.
    """
    all_ids: list[Ids] = []
    content, count = 0, 0
    with new_file(folder, "vectors") as vectors, new_file(folder, "rows") as rows:
        for some in references:
            digests = digests_of(some.sha256s)
            vectors.write(some.vectors.astype("<f4").tobytes())
            rows.write(encode_rows(some.ids, digests))
            content = changed_content(content, content_of(some.ids, digests), 0)
            count += len(some.ids)
            all_ids.append(some.ids)
    manifest = Manifest(
        library=source.library,
        embedding_version=source.embedding_version,
        dimension=source.dimension,
        change=source.change,
        count=count,
        positions=count,
        content=f"{content:064x}",
        anchors=source.anchors(np.concatenate([np.empty(0, np.int64), *all_ids])),
        rows=rows.entry,
        vectors=(vectors.entry,),
    )
    if count > plan.flat_up_to:
        files = _vector_files(folder, manifest)
        lists = plan.lists(count)
        index = trained(files, lists, plan)
        probes, recall = fitting_probes(index, files, plan)
        with new_file(folder, "lists") as file:
            write_lists(index, file.write)
        manifest = replace(manifest, lists=InvertedLists(file.entry, lists, probes, count, recall))
    return manifest


def continued(folder: Path, index: VectorIndex, anchors: Callable[[Ids], Anchors]) -> Manifest:
    """A build of all that ``index`` knows, without training: for a large library only what is new is written.

    Raises:
        OSError: the folder cannot be written to.
        StaleIndex, FileNotFoundError: a file of the build is no longer what it was.
    """
    manifest, delta = index.manifest, index.delta
    if manifest.lists is None:
        positions = np.flatnonzero(index.alive)
        ids = np.concatenate([index.rows.ids[positions], delta.ids])
        digests = np.concatenate([index.rows.digests(positions), delta.digests])
        vectors = np.concatenate([index.base.read(positions), delta.vectors])
        order = np.argsort(ids)
        vector_files: tuple[IndexFile, ...] = (_written(folder, vectors[order]),)
        rows = _written_rows(folder, ids[order], digests[order])
        lists = None
    else:
        everywhere = np.arange(len(index.alive))
        ids = np.concatenate([np.where(index.alive, index.rows.ids, DEAD), delta.ids])
        digests = np.concatenate([index.rows.digests(everywhere), delta.digests])
        rows = _written_rows(folder, ids, digests)
        vector_files = (*manifest.vectors, _written(folder, delta.vectors)) if len(delta) else manifest.vectors
        with open_checked(folder, manifest.lists.file) as file:
            more = read_lists(file)
        more.add(delta.vectors)
        with new_file(folder, "lists") as written:
            write_lists(more, written.write)
        lists = replace(manifest.lists, file=written.entry)
    after = replace(
        manifest,
        change=index.change,
        count=len(index),
        positions=len(ids),
        content=f"{index.content:064x}",
        anchors=anchors(ids[ids != DEAD]),
        rows=rows,
        vectors=vector_files,
        lists=lists,
    )
    return after if len(vector_files) <= _MOST_FILES else replace(after, vectors=(_joined(folder, after),))


def save(folder: Path, manifest: Manifest) -> None:
    """Make a build the folder's index and remove the files of the former one."""
    write_manifest(folder, manifest)
    sweep(folder, manifest)


def load(folder: Path, manifest: Manifest) -> VectorIndex:
    """Read a build, every byte of it checked.

    Raises:
        FileNotFoundError: a file is gone: look whether there is a newer manifest.
        StaleIndex: a file is damaged or incomplete.
    """
    with ExitStack() as opened:
        rows_file = opened.enter_context(open_checked(folder, manifest.rows))
        rows = Rows(rows_file, manifest.positions)
        files = _vector_files(folder, manifest)
        base: Base
        if manifest.lists is None:
            blocks = [block for _, block in files.blocks()]
            base = FlatVectors(np.concatenate(blocks) if blocks else np.empty((0, manifest.dimension), np.float32))
        else:
            with open_checked(folder, manifest.lists.file) as file:
                base = IvfVectors(read_lists(file), files, manifest.lists.probes)
        opened.pop_all()  # the rows' file stays open
    if not len(base) == len(rows.ids) == len(files) == manifest.positions:
        raise StaleIndex(f"{folder}: the files of the search index do not fit each other")
    return VectorIndex.of_build(manifest, base, rows)


def _vector_files(folder: Path, manifest: Manifest) -> VectorFiles:
    with ExitStack() as opened:
        files = [opened.enter_context(open_checked(folder, one)) for one in manifest.vectors]
        opened.pop_all()
    return VectorFiles(files, manifest.dimension)


def _written(folder: Path, vectors: Vectors) -> IndexFile:
    with new_file(folder, "vectors") as file:
        file.write(np.ascontiguousarray(vectors, "<f4").tobytes())
    return file.entry


def _written_rows(folder: Path, ids: Ids, digests: Digests) -> IndexFile:
    with new_file(folder, "rows") as file:
        file.write(encode_rows(ids, digests))
    return file.entry


def _joined(folder: Path, manifest: Manifest) -> IndexFile:
    """All vectors in one new file."""
    with new_file(folder, "vectors") as file:
        for _, block in _vector_files(folder, manifest).blocks():
            file.write(np.ascontiguousarray(block, "<f4").tobytes())
    return file.entry
