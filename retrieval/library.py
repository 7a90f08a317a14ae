"""The reference library: colour pictures on record in the database, and a search index over their vectors.

The database is the truth. The index is built from it, may be thrown away at any time, and every hit is looked
up in the database and on the disk before it is handed out: a retired reference, a picture that is gone and a
picture that is no longer the one that was embedded are never returned.

A score of `search_vectors` is the inner product of two unit vectors, cut off below zero: 0 for pictures that have no
more in common than any two, 1 for the same luminance. `search` looks at the best 200 of these once more: its scores
also say how well the parts match (`retrieval.rerank`), and come with a confidence (`retrieval.confidence`).
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import Descriptions, Embedder
from retrieval.errors import RetrievalError
from retrieval.files import find_files, path_of
from retrieval.index import StaleIndex, VectorIndex, index_version, load_index, save_or_log
from retrieval.ingest import Ingest, removed_record
from retrieval.luminance import Picture
from retrieval.records import AddReport, Match, Progress, Reference
from retrieval.rerank import CANDIDATES, Reranker
from retrieval.transfer import copy_library
from storage.database import Database, open_database, reference_parts, references
from storage.database.records import KnownReference
from storage.fixity import sha256_file, sweep_partial_files
from storage.paths import path_to_text

log = logging.getLogger(__name__)

# `list` is a method below, so the built-in cannot be named there.
Matches = list[Match]
Rows = list[KnownReference]
Ids = list[int]

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
    """

    def __init__(
        self,
        database: Database,
        index_directory: Path,
        embedder: Embedder,
        library_root: Path,
        run_id: int | None = None,
        recorded_root: str | None = None,
    ) -> None:
        self._database = database
        self._index_directory = index_directory
        self._embedder = embedder
        self._reranker = Reranker(database, embedder)
        self._root = library_root.resolve()
        self._library = recorded_root or path_to_text(self._root)
        self._run_id = run_id
        self._owns_database = False
        self._version = ""
        self._index: VectorIndex
        self._same_content: dict[int, Ids] = {}
        self._checked: dict[int, tuple[int, int]] = {}
        if index_directory.is_dir():
            sweep_partial_files(index_directory)  # of a process that was killed while it saved the index
        self.refresh()

    @classmethod
    def open(cls, folder: Path, device: str = "cpu", vgg_weights: Path | None = None) -> "ReferenceLibrary":
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
            library = cls(database, folder / INDEX_FOLDER, embedder, folder, recorded_root=OWN_FOLDER)
        except BaseException:
            database.close()
            raise
        library._owns_database = True
        return library

    @staticmethod
    def is_library(folder: Path) -> bool:
        """Whether there is a library in ``folder`` (then `import_from` takes its vectors over)."""
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
        return self._version

    def __len__(self) -> int:
        return sum(len(ids) for ids in self._same_content.values())

    def add(self, paths: Iterable[Path], progress: Progress | None = None) -> AddReport:
        """Take pictures into the library; folders are walked. Only new or changed content is embedded.

        Files that cannot be used are recorded with the reason and do not stop the rest. What was recorded in
        one of the folders and is gone is retired.

        Args:
            paths: files and folders.
            progress: called after every file with (files handled, files found).

        Raises:
            RetrievalError: one of the paths does not exist.
        """
        paths = [*paths]
        files = [*find_files(paths, self._root)]
        folders = [path.resolve() for path in paths if path.is_dir()]
        ingest = Ingest(self._database, self._embedder, self._root, self._library, self._run_id)
        try:
            return ingest.run(files, folders, progress)
        finally:
            self.refresh()

    def list(self) -> list[Reference]:
        """The references in use, by id; their files are not looked at."""
        return sorted((self._reference(one) for one in self._active()), key=lambda reference: reference.id)

    def search(self, image: Picture, k: int = 5) -> Matches:
        """The k references that fit ``image`` best: among those whose luminance is most like its, whose parts match.

        Raises:
            RetrievalError: ``image`` is no picture, or k is less than 1.
        """
        described = self._embedder.describe([image])
        return self.rerank(described, self.candidates(described), k)

    def candidates(self, described: Descriptions) -> Sequence[Matches]:
        """For each described picture the references that the embedding finds, to be compared once more."""
        return self.search_vectors(described.vectors, CANDIDATES)

    def rerank(self, described: Descriptions, found: Sequence[Matches], k: int) -> Matches:
        """The k best for all described pictures together, among what `candidates` found for each.

        Raises:
            RetrievalError: k is less than 1.
        """
        return self._reranker.rerank(described, found, k)

    def search_vectors(self, vectors: NDArray[np.float32], k: int) -> Sequence[Matches]:
        """The k best references of each vector (N, d); fewer where the library has fewer that can be used.

        Equal scores are ordered by id. The same content is returned once, wherever else it lies.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._embedder.dimension:
            needed = f"(N, {self._embedder.dimension})"
            raise RetrievalError(f"vectors of shape {needed} are needed, not {vectors.shape}")
        if k < 1:
            raise RetrievalError(f"{k} references cannot be searched for; ask for 1 or more")
        taken = k
        while True:
            ids, products = self._index.search(vectors, taken)
            usable, stale = self._usable({int(one) for row in ids for one in row})
            if stale:
                self.refresh()
                continue
            found = [self._matches(*pair, usable, k) for pair in zip(ids, products, strict=True)]
            if taken >= len(self._index) or all(len(matches) == k for matches in found):
                return found
            taken *= 2

    def remove(self, reference_id: int) -> None:
        """Take a reference out of use, with all others of the same content; their files stay.

        They stay out, whatever folders are added later, until one of the files is itself given to `add`.

        Raises:
            RetrievalError: there is no such reference in use.
        """
        active = self._active()
        wanted = next((one for one in active if one.id == reference_id), None)
        if wanted is None:
            raise RetrievalError(f"there is no reference {reference_id} in the library; look at its list")
        same = [removed_record(one, self._run_id) for one in active if one.sha256 == wanted.sha256]
        references.record_failed(self._database, same)
        self.refresh()

    def rebuild(self, progress: Progress | None = None) -> AddReport:
        """Embed again what has vectors of another embedding, make what parts are missing, and build the index anew."""
        other = [
            path
            for one in self._active()
            if one.embedding_version != self._embedder.version
            if (path := path_of(one.path, self._root)).is_file()
        ]
        report = self.add(other, progress)
        lacking = {*reference_parts.without(self._database, self._embedder.parts_version, self._library)}
        self._reranker.make_parts([one for one in self.list() if one.id in lacking], progress)
        self._build(*self._truth())
        return report

    def import_from(self, folder: Path) -> AddReport:
        """Take over the references of the library in ``folder`` with their vectors; nothing is embedded.

        Afterwards this library has exactly the references in use there.

        Raises:
            RetrievalError: there is no library in ``folder``.
            DatabaseError: its database cannot be opened.
        """
        if not self.is_library(folder):
            raise RetrievalError(f"there is no reference library in {path_to_text(folder)}")
        with open_database(f"sqlite:///{folder.resolve() / DATABASE_NAME}", create=False) as source:
            report = copy_library(
                source,
                folder.resolve(),
                self._database,
                self._root,
                self._library,
                self._embedder,
                self._run_id,
            )
        self.refresh()
        return report

    def refresh(self) -> None:
        """See what is in the database now, and have the index for exactly that: from the disk, or built."""
        active, vectors = self._truth()
        version = index_version(self._embedder.version, ((one.id, one.sha256 or "") for one in active))
        if version == self._version:
            return
        try:
            index = load_index(self._index_directory, version, self._embedder.version, self._embedder.dimension)
        except StaleIndex as reason:
            log.info("search index of %s: %s; building it from the database", self._library, reason)
            self._build(active, vectors)
        else:
            self._adopt(index, active, version)

    def _active(self) -> Rows:
        known = references.known(self._database, self._library).values()
        return [one for one in known if one.state == "active"]

    def _truth(self) -> tuple[Rows, NDArray[np.float32]]:
        """The searchable references by rising id, and their vectors (N, d)."""
        ids, vectors = references.vectors(self._database, self._embedder.version, self._library)
        rows = references.get(self._database, ids.tolist())
        in_use = np.array([rows[one].state == "active" for one in ids.tolist()], bool)
        if not len(ids):
            vectors = np.zeros((0, self._embedder.dimension), np.float32)
        return [rows[one] for one in ids[in_use].tolist()], vectors[in_use]

    def _build(self, active: Rows, vectors: NDArray[np.float32]) -> None:
        first = self._grouped(active)
        chosen = [position for position, one in enumerate(active) if one.id in first]
        index = VectorIndex.build(np.array([active[one].id for one in chosen], np.int64), vectors[chosen])
        version = index_version(self._embedder.version, ((one.id, one.sha256 or "") for one in active))
        save_or_log(index, self._index_directory, version, self._embedder.version)
        self._adopt(index, active, version)

    def _adopt(self, index: VectorIndex, active: Rows, version: str) -> None:
        self._index, self._version = index, version
        self._same_content = self._grouped(active)

    @staticmethod
    def _grouped(active: Rows) -> dict[int, Ids]:
        """First id of each content -> all ids of that content; only the first ones are in the index."""
        by_content: defaultdict[str, Ids] = defaultdict(Ids)
        for one in active:
            by_content[one.sha256 or ""].append(one.id)
        return {ids[0]: ids for ids in by_content.values()}

    def _usable(self, firsts: set[int]) -> tuple[dict[int, Reference], bool]:
        """For each hit the reference to hand out, if there is one; and whether the index is out of date."""
        ids = {one for first in firsts for one in self._same_content[first]}
        rows = references.get(self._database, ids)
        if any(rows[one].state != "active" for one in ids):
            return {}, True
        usable: dict[int, Reference] = {}
        for first in firsts:
            for one in self._same_content[first]:
                if self._is_as_recorded(rows[one]):
                    usable[first] = self._reference(rows[one])
                    break
        return usable, False

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

    def _matches(
        self, ids: NDArray[np.int64], products: NDArray[np.float64], usable: dict[int, Reference], k: int
    ) -> Matches:
        hits = [
            (usable[one], product)
            for one, product in zip(ids.tolist(), products.tolist(), strict=True)
            if one in usable
        ]
        return [
            Match(reference=reference, score=min(max(product, 0.0), 1.0), rank=rank)
            for rank, (reference, product) in enumerate(hits[:k], start=1)
        ]

    def _reference(self, known: KnownReference) -> Reference:
        return Reference(
            known.id, path_of(known.path, self._root), known.sha256 or "", known.width or 0, known.height or 0
        )
