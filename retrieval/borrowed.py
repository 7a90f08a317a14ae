"""A library in a folder of its own, searched where it lies by a run that has another database.

Of a library of a million only what is handed out concerns a run: that is put on record in the run's database, with its
vector and what describes it. So a run begins at once however large the library is, and its record stays whole when the
library goes elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding import Descriptions, Embedder
from retrieval.errors import RetrievalError
from retrieval.files import path_of, text_of
from retrieval.filters import ReferenceFilter
from retrieval.library import DATABASE_NAME, INDEX_FOLDER, OWN_FOLDER, ReferenceLibrary
from retrieval.reading import Read
from retrieval.records import Match, Reference
from storage.database import Database, open_database, reference_metadata, reference_vectors, references
from storage.database.records import KnownReference, ReferenceRecord
from storage.images import read_master
from storage.paths import path_to_text


class BorrowedLibrary:
    """The library in ``folder``; ids that it hands out are those in ``database``. Close it.

    Args:
        folder: of the library.
        embedder: what makes the vectors.
        database: where what is handed out is recorded; stays the caller's to close.
        run_id: the run that borrows, for the record.

    Raises:
        RetrievalError: there is no library in the folder, or all its vectors are of another embedding.
        DatabaseError: its database cannot be opened.
    """

    def __init__(
        self,
        folder: Path,
        embedder: Embedder,
        database: Database,
        run_id: int | None = None,
        read: Read = read_master,
    ) -> None:
        if not ReferenceLibrary.is_library(folder):
            raise RetrievalError(f"there is no reference library in {path_to_text(folder)}")
        self._root = folder.resolve()
        self._version = embedder.version
        self._target = database
        self._run_id = run_id
        self._lent: dict[int, Reference] = {}
        self._source = open_database(f"sqlite:///{self._root / DATABASE_NAME}", create=False)
        try:
            self._library = ReferenceLibrary(
                self._source, self._root / INDEX_FOLDER, embedder, self._root, recorded_root=OWN_FOLDER, read=read
            )
            if len(self._library) == 0 and any(True for _ in references.active(self._source, OWN_FOLDER)):
                where = path_to_text(folder)
                raise RetrievalError(
                    f"the references of {where} are embedded by another model; run: "
                    f"archive-colorizer references rebuild --library {where}"
                )
        except BaseException:
            self._source.close()
            raise

    def close(self) -> None:
        """Close the library's database."""
        self._source.close()

    @property
    def index_version(self) -> str:
        """See `ReferenceLibrary.index_version`."""
        return self._library.index_version

    def __len__(self) -> int:
        return len(self._library)

    def allowed(self, where: ReferenceFilter) -> NDArray[np.int64]:
        """See `ReferenceLibrary.allowed`; the ids are the library's own."""
        return self._library.allowed(where)

    def candidates(self, described: Descriptions, where: ReferenceFilter | None = None) -> Sequence[list[Match]]:
        """See `ReferenceLibrary.candidates`; for `rerank` alone, as they are not on record yet."""
        return self._library.candidates(described, where)

    def rerank(self, described: Descriptions, found: Sequence[list[Match]], k: int) -> list[Match]:
        """See `ReferenceLibrary.rerank`; what is returned is on record in the run's database."""
        matches = self._library.rerank(described, found, k)
        lent = self._lend([match.reference.id for match in matches])
        there = [one for one in matches if one.reference.id in lent]
        return [
            Match(lent[one.reference.id], one.score, rank, one.confidence) for rank, one in enumerate(there, start=1)
        ]

    def at(self, path: Path) -> Reference | None:
        """See `ReferenceLibrary.at`; what is returned is on record in the run's database."""
        found = self._library.at(path)
        return self._lend([found.id]).get(found.id) if found is not None else None

    def _lend(self, ids: Sequence[int]) -> dict[int, Reference]:
        """References on record in the run's database, by their ids in the library; without those just removed there."""
        new = [id_ for id_ in ids if id_ not in self._lent]
        if new:
            rows = {id_: row for id_, row in references.get(self._source, new).items() if row.state == "active"}
            paths = {id_: path_of(row.path, self._root) for id_, row in rows.items()}
            vectors = reference_vectors.of(self._source, rows)
            records = {id_: self._record(rows[id_], paths[id_], vector) for id_, vector in vectors.items()}
            there = references.upsert(self._target, list(records.values()))
            lent = {id_: there[record.path] for id_, record in records.items()}
            described = reference_metadata.get(self._source, records)
            reference_metadata.record(self._target, {lent[id_]: metadata for id_, metadata in described.items()})
            for id_, one in records.items():
                self._lent[id_] = Reference(lent[id_], paths[id_], one.sha256, one.width, one.height)
        return {id_: self._lent[id_] for id_ in ids if id_ in self._lent}

    def _record(self, row: KnownReference, path: Path, vector: NDArray[np.float32]) -> ReferenceRecord:
        return ReferenceRecord(
            library=path_to_text(self._root),
            path=text_of(path, self._root),
            sha256=row.sha256 or "",
            width=row.width or 0,
            height=row.height or 0,
            embedding_version=row.embedding_version or self._version,
            embedding=vector,
            size_bytes=row.size_bytes,
            mtime_ns=row.mtime_ns,
            added_by_run_id=self._run_id,
        )
