"""The reference library: colour pictures on record in the database, and a search index over their vectors.

The database is the truth. The index is built from it, may be thrown away at any time, and every hit is looked
up in the database and on the disk before it is handed out: a retired reference, a picture that is gone and a
picture that is no longer the one that was embedded are never returned.

A score of `search_vectors` is the inner product of two unit vectors, cut off below zero: 0 for pictures that have no
more in common than any two, 1 for the same luminance. `search` looks at the best 200 of these once more: its scores
also say how well the parts match (`retrieval.rerank`), and come with a confidence (`retrieval.confidence`).
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import Descriptions, Embedder
from retrieval.errors import RetrievalError
from retrieval.files import find_files, path_of, text_of
from retrieval.filters import ReferenceFilter, allowed_ids
from retrieval.index import Hits, IndexCheck, IndexKeeper, check_index
from retrieval.index.content import tag_of
from retrieval.ingest import Ingest, removed_record
from retrieval.luminance import Picture
from retrieval.metadata import ask_files
from retrieval.metadata_table import MetadataTable, TableReport
from retrieval.near_duplicates import NearDuplicates, distinct
from retrieval.reading import Read
from retrieval.records import AddReport, Match, Progress, Reference
from retrieval.rerank import CANDIDATES, Reranker
from storage.database import Database, open_database, reference_parts, references
from storage.database.records import KnownReference
from storage.fixity import sha256_file
from storage.images import read_master
from storage.paths import path_to_text

log = logging.getLogger(__name__)

# `list` is a method below, so the built-in cannot be named there.
Matches = list[Match]

DATABASE_NAME = "library.db"
INDEX_FOLDER = "index"
OWN_FOLDER = "."
"""How a library folder records its root, so that it may be moved."""


class ReferenceLibrary:
    """The references recorded under one root, searched by likeness of luminance.

    What other processes add is seen after `refresh`; what they retire is never returned.

    Args:
        database: where references are recorded; stays the caller's to close.
        index_directory: where the index is kept; can be deleted.
        embedder: what makes the vectors.
        library_root: the folder that recorded paths are relative to; only references under this root are
            searched.
        run_id: the run that adds references, for the record.
        recorded_root: how the root is recorded; its absolute path if None.
        read: reads a picture.
    """

    def __init__(
        self,
        database: Database,
        index_directory: Path,
        embedder: Embedder,
        library_root: Path,
        run_id: int | None = None,
        recorded_root: str | None = None,
        read: Read = read_master,
    ) -> None:
        self._database = database
        self._embedder = embedder
        self._read = read
        self._reranker = Reranker(database, embedder, read)
        self._root = library_root.resolve()
        self._library = recorded_root or path_to_text(self._root)
        self._run_id = run_id
        self._owns_database = False
        self._checked: dict[int, tuple[int, int]] = {}
        self._allowed: tuple[ReferenceFilter, NDArray[np.int64]] | None = None
        self._keeper = IndexKeeper(database, self._library, index_directory, embedder.version, embedder.dimension)

    @classmethod
    def open(
        cls, folder: Path, device: str = "cpu", vgg_weights: Path | None = None, read: Read = read_master
    ) -> "ReferenceLibrary":
        """The library in ``folder`` (library.db and index/), made if there is none. Close it, or use
        ``with``.

        Raises:
            RetrievalError: the embedding's weights cannot be used, or the folder cannot be made.
            DatabaseError: library.db cannot be opened.
        """
        embedder = Embedder.from_pretrained(device=device, vgg_weights=vgg_weights)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            raise RetrievalError(f"{path_to_text(folder)} cannot be made a library ({reason})") from error
        database = open_database(f"sqlite:///{folder.resolve() / DATABASE_NAME}")
        try:
            library = cls(database, folder / INDEX_FOLDER, embedder, folder, recorded_root=OWN_FOLDER, read=read)
        except BaseException:
            database.close()
            raise
        library._owns_database = True
        return library

    @staticmethod
    def is_library(folder: Path) -> bool:
        """Whether there is a library in ``folder`` (then a run searches it where it lies: `retrieval.borrowed`)."""
        return (folder / DATABASE_NAME).is_file()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database, if `open` opened it."""
        if self._owns_database:
            self._database.close()

    @property
    def index_version(self) -> str:
        """Hex digest of what searches answer from: the embedding's version and every reference's id and
        sha256."""
        return self._keeper.version

    def __len__(self) -> int:
        return len(self._keeper.index)

    def add(self, paths: Iterable[Path], progress: Progress | None = None) -> AddReport:
        """Take pictures into the library; folders are walked. Only new or changed content is embedded.

        Files that cannot be used are recorded with the reason and do not stop the rest. What was recorded in
        one of the folders and is gone is retired. What nearly shows the same as a reference that is there is
        linked to it.

        Args:
            paths: files and folders.
            progress: called after every file with (files handled, files found).

        Raises:
            RetrievalError: one of the paths does not exist.
        """
        paths = [*paths]
        files = [*find_files(paths, self._root)]
        folders = [path.resolve() for path in paths if path.is_dir()]
        self.refresh()
        versions = self._embedder.version, self._embedder.parts_version
        duplicates = NearDuplicates(self._database, self._keeper, *versions)
        ingest = Ingest(self._database, self._embedder, duplicates, self._root, self._library, self._run_id, self._read)
        try:
            report = ingest.run(files, folders, progress)
            ask_files(self._database, self._library, self._root)
            return report
        finally:
            self.refresh()

    def describe(self, table: Path, folder: Path) -> TableReport:
        """Describe references as a table (CSV) says; its paths are relative to its own folder or to `folder`."""
        try:
            return MetadataTable(table).apply(self._database, self._library, self._root, folder)
        finally:
            self.refresh()

    def list(self) -> list[Reference]:
        """The references in use, by id; their files are not looked at."""
        return [self._reference(one) for one in references.active(self._database, self._library)]

    def at(self, path: Path) -> Reference | None:
        """The reference in use at this path, if any."""
        text = text_of(path.parent.resolve() / path.name, self._root)
        known = references.at_paths(self._database, self._library, [text]).get(text)
        return self._reference(known) if known is not None and known.state == "active" else None

    def search(self, image: Picture, k: int = 5, where: ReferenceFilter | None = None) -> Matches:
        """The k references that fit ``image`` best: among those whose luminance is most like its, whose parts match.

        Raises:
            RetrievalError: ``image`` is no picture, k is less than 1, or a path in the filter is not in the library.
        """
        described = self._embedder.describe([image])
        return self.rerank(described, self.candidates(described, where), k)

    def candidates(self, described: Descriptions, where: ReferenceFilter | None = None) -> Sequence[Matches]:
        """For each described picture the references that the embedding finds, to be compared once more."""
        return self.search_vectors(described.vectors, CANDIDATES, None if where is None else self.allowed(where))

    def allowed(self, where: ReferenceFilter) -> NDArray[np.int64]:
        """Ids, rising, of the references that may be found; what others describe anew is seen after `refresh`.

        Raises:
            RetrievalError: a path in the filter is not in the library.
        """
        if self._allowed is None or self._allowed[0] != where:
            self._allowed = where, allowed_ids(self._database, self._library, self._root, where)
        return self._allowed[1]

    def rerank(self, described: Descriptions, found: Sequence[Matches], k: int) -> Matches:
        """The k best for all described pictures together, among what `candidates` found for each.

        Raises:
            RetrievalError: k is less than 1.
        """
        return self._reranker.rerank(described, found, k)

    def search_vectors(
        self, vectors: NDArray[np.float32], k: int, among: NDArray[np.int64] | None = None
    ) -> Sequence[Matches]:
        """The k best references of each vector; fewer where the library has fewer that can be used.

        Equal scores are ordered by id. The same content is returned once, wherever else it lies, and of
        near-duplicates the best alone.

        Args:
            vectors: (N, d) float32, unit length.
            k: how many references, from 1.
            among: ids of the references that may be returned; None for all.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._embedder.dimension:
            needed = f"(N, {self._embedder.dimension})"
            raise RetrievalError(f"vectors of shape {needed} are needed, not {vectors.shape}")
        if k < 1:
            raise RetrievalError(f"{k} references cannot be searched for; ask for 1 or more")
        taken, found = k, [Matches()] * len(vectors)
        left = np.arange(len(vectors))
        while len(left):
            hits, rows = self._hits(vectors[left], taken, among)
            usable = {id_: self._reference(row) for id_, row in rows.items() if self._is_as_recorded(row)}
            for number, one in zip(left.tolist(), hits, strict=True):
                found[number] = self._matches(one, usable, k)
            full = np.array([len(one.ids) == taken for one in hits], bool)
            left = left[full & np.array([len(found[number]) < k for number in left.tolist()], bool)]
            taken *= 2
        return found

    def remove(self, reference_id: int) -> None:
        """Take a reference out of use, with all others of the same content; their files stay.

        They stay out, whatever folders are added later, until one of the files is itself given to `add`.

        Raises:
            RetrievalError: there is no such reference in use.
        """
        wanted = references.get(self._database, [reference_id]).get(reference_id)
        if wanted is None or wanted.library != self._library or wanted.state != "active" or wanted.sha256 is None:
            raise RetrievalError(f"there is no reference {reference_id} in the library; look at its list")
        same = references.with_content(self._database, self._library, wanted.sha256)
        references.record_failed(self._database, [removed_record(one, self._run_id) for one in same])
        self.refresh()

    def rebuild(self, progress: Progress | None = None) -> AddReport:
        """Embed again what has vectors of another embedding, make what parts are missing, and build the index anew."""
        other = [
            path
            for one in references.active(self._database, self._library)
            if one.embedding_version != self._embedder.version
            if (path := path_of(one.path, self._root)).is_file()
        ]
        report = self.add(other, progress) if other else AddReport(added=0, unchanged=0)
        lacking = {*reference_parts.without(self._database, self._embedder.parts_version, self._library)}
        self._reranker.make_parts([one for one in self.list() if one.id in lacking], progress)
        self._keeper.rebuild()
        return report

    def check(self, sample: int = 200) -> IndexCheck:
        """Hold the index against the database, and against exact search for so many of the references."""
        self.refresh()
        return check_index(self._keeper.index, self._database, self._library, self._embedder.version, sample)

    def refresh(self) -> None:
        """See what is in the database now."""
        self._allowed = None
        self._keeper.refresh()

    def _hits(
        self, vectors: NDArray[np.float32], taken: int, among: NDArray[np.int64] | None
    ) -> tuple[Sequence[Hits], dict[int, KnownReference]]:
        """The nearest of each vector with their rows, which the database has just as the index has them."""
        rebuilt = False
        while True:
            index = self._keeper.index
            hits = index.search(vectors, taken, among)
            tags = {id_: tag for one in hits for id_, tag in zip(one.ids.tolist(), one.tags.tolist(), strict=True)}
            rows = references.get(self._database, tags)
            if all(id_ in rows and self._is_of(rows[id_], tag) for id_, tag in tags.items()):
                return hits, rows
            self._keeper.refresh()
            if self._keeper.index.change > index.change:
                continue
            if rebuilt:
                raise RetrievalError(f"{self._library}: index and database disagree; run `references rebuild`")
            log.warning("search index of %s: it is not of this database; it is built again from it", self._library)
            self._keeper.rebuild()
            rebuilt = True

    def _is_of(self, row: KnownReference, tag: int) -> bool:
        """Whether a reference is in use with the content and the embedding that the index knows."""
        if row.state != "active" or row.sha256 is None or row.embedding_version != self._embedder.version:
            return False
        return tag_of(row.sha256) == tag

    def _is_as_recorded(self, known: KnownReference) -> bool:
        """Whether the file is there and still holds what was embedded; it is hashed only if it was
        touched."""
        path = path_of(known.path, self._root)
        try:
            status = path.stat()
            state = (status.st_size, status.st_mtime_ns)
            if state in ((known.size_bytes, known.mtime_ns), self._checked.get(known.id)):
                return True
            same = sha256_file(path) == known.sha256
        except OSError:
            return False
        if same:
            self._checked[known.id] = state
        else:
            log.warning("%s has changed since it was added and is not used; add it again", path_to_text(path))
        return same

    def _matches(self, hits: Hits, usable: dict[int, Reference], k: int) -> Matches:
        """The k best of the hits that can be used; the same content once, of near-duplicates the best."""
        products = dict(zip(hits.ids.tolist(), hits.products.tolist(), strict=True))
        found = distinct([usable[id_] for id_ in products if id_ in usable], k)
        return [
            Match(reference=reference, score=min(max(products[reference.id], 0.0), 1.0), rank=rank)
            for rank, reference in enumerate(found, start=1)
        ]

    def _reference(self, known: KnownReference) -> Reference:
        return Reference(
            known.id,
            path_of(known.path, self._root),
            known.sha256 or "",
            known.width or 0,
            known.height or 0,
            known.near_duplicate_of,
        )
