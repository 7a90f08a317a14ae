"""Taking pictures into a library: only what is new or changed is read, only unseen content is embedded."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.colour import has_colour
from retrieval.embedding import Embedder
from retrieval.files import Offered, path_of
from retrieval.luminance import Prepared, prepare
from retrieval.near_duplicates import NearDuplicates
from retrieval.reading import Read
from retrieval.records import AddReport, FailedReference, Progress
from storage.database import Database, reference_parts, references
from storage.database.records import FailedReferenceRecord, KnownReference, ReferenceRecord
from storage.errors import UnreadableImage
from storage.fixity import sha256_file
from storage.images import read_master

BATCH = 16
"""Pictures embedded and recorded together; a kill loses at most this much work."""
REMOVED = "removed"
"""Error type that marks a file which somebody took out of the library by hand."""
NO_COLOUR = "no_colour"
_READERS = 2
"""Threads that decode, each with one master in memory at a time."""
_AHEAD = 2 * BATCH
"""Pictures read ahead, as small squares: while the networks are busy with one batch, the next becomes ready."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was read; ``prepared`` is None where its content is known already."""

    sha256: str
    width: int
    height: int
    prepared: Prepared | None


@dataclass(frozen=True, slots=True)
class _Failure:
    error_type: str
    message: str
    sha256: str | None = None


class _Plain(Enum):
    """Outcomes that need no record."""

    UNCHANGED = "unchanged"
    LEFT_OUT = "left out"


_Outcome = _Read | _Failure | _Plain


class Ingest:
    """One pass of taking files into the library at ``root``; use it once."""

    def __init__(
        self,
        database: Database,
        embedder: Embedder,
        duplicates: NearDuplicates,
        root: Path,
        library: str,
        run_id: int | None,
        read: Read = read_master,
    ) -> None:
        self._read_picture = read
        self._database = database
        self._embedder = embedder
        self._duplicates = duplicates
        self._root = root
        self._library = library
        self._run_id = run_id
        self._live = references.known(database, library)
        # Content whose vector is on record, with the size of the picture: it need not even be decoded.
        self._sizes = {
            known.sha256: (known.width, known.height)
            for known in references.known(database, library, retired=True).values()
            if known.sha256 and known.width and known.height and known.embedding_version == embedder.version
        }
        self._batch: list[tuple[Offered, _Read]] = []
        self._failed_batch: list[tuple[Offered, _Failure]] = []
        self._failed: list[FailedReference] = []
        self._added = self._unchanged = self._linked = self._retired = self._left_out = 0

    def run(self, files: Sequence[Offered], folders: Sequence[Path], progress: Progress | None) -> AddReport:
        """Take ``files`` in; retire what is on record below ``folders`` and no longer there."""
        for done, (offered, outcome) in enumerate(self._outcomes(files), start=1):
            if isinstance(outcome, _Read):
                self._batch.append((offered, outcome))
            elif isinstance(outcome, _Failure):
                self._failed_batch.append((offered, outcome))
                self._failed.append(FailedReference(offered.path, outcome.error_type, outcome.message))
            elif outcome is _Plain.UNCHANGED:
                self._unchanged += 1
            else:
                self._left_out += 1
            if len(self._batch) >= BATCH or len(self._failed_batch) >= BATCH:
                self._record()
            if progress is not None:
                progress(done, len(files))
        self._record()
        self._retire_missing({offered.text for offered in files}, folders)
        return AddReport(
            added=self._added,
            unchanged=self._unchanged,
            failed=tuple(self._failed),
            linked=self._linked,
            retired=self._retired,
            left_out=self._left_out,
        )

    def _outcomes(self, files: Sequence[Offered]) -> Iterator[tuple[Offered, _Outcome]]:
        """What became of each file, in order; threads read ahead while the networks work."""
        waiting: deque[tuple[Offered, Future[_Outcome]]] = deque()
        with ThreadPoolExecutor(max_workers=_READERS, thread_name_prefix="reference-reader") as pool:
            try:
                for offered in files:
                    settled = self._settled(offered)
                    if settled is not None:
                        yield from self._drain(waiting, 0)
                        yield offered, settled
                        continue
                    waiting.append((offered, pool.submit(self._read, offered)))
                    yield from self._drain(waiting, _AHEAD)
                yield from self._drain(waiting, 0)
            finally:
                pool.shutdown(cancel_futures=True)

    @staticmethod
    def _drain(waiting: "deque[tuple[Offered, Future[_Outcome]]]", leave: int) -> Iterator[tuple[Offered, _Outcome]]:
        while len(waiting) > leave:
            offered, future = waiting.popleft()
            yield offered, future.result()

    def _settled(self, offered: Offered) -> _Outcome | None:
        """The outcome for a file that need not be read, because it is as it was."""
        known = self._live.get(offered.text)
        if known is None or offered.problem is not None:
            return None
        if (known.size_bytes, known.mtime_ns) != (offered.size_bytes, offered.mtime_ns):
            return None
        if known.state == "active" and known.embedding_version == self._embedder.version:
            return _Plain.UNCHANGED
        if known.error_type == NO_COLOUR:
            return _Failure(NO_COLOUR, known.message or "", known.sha256)
        return None

    def _read(self, offered: Offered) -> _Outcome:
        if offered.problem is not None:
            return _Failure(*offered.problem)
        try:
            sha256 = sha256_file(offered.path)
            if self._is_to_stay_out(offered, sha256):
                return _Plain.LEFT_OUT
            if sha256 in self._sizes:
                return _Read(sha256, *self._sizes[sha256], prepared=None)
            master = self._read_picture(offered.path)
        except UnreadableImage as error:
            return _Failure(error.error_type, error.message)
        except OSError as error:
            reason = (error.strerror or "unknown reason").lower()
            message = f"{offered.text} cannot be read ({reason}); check the file and its rights"
            return _Failure("unreadable", message)
        if master.facts.format == "pdf" or master.facts.pages > 1:
            message = f"{offered.text} is a document; a reference must be a picture"
            return _Failure("unsupported", message, master.sha256)
        if not has_colour(master.preview):
            message = f"{offered.text} has no colour to give (it is grey or toned); take a colour photograph"
            return _Failure(NO_COLOUR, message, master.sha256)
        return _Read(master.sha256, master.facts.width, master.facts.height, prepare(master.preview))

    def _is_to_stay_out(self, offered: Offered, sha256: str) -> bool:
        known = self._live.get(offered.text)
        if known is None or offered.named:
            return False
        return known.error_type == REMOVED and known.sha256 == sha256

    def _record(self) -> None:
        """Embed what is new in the batch and record the batch."""
        batch, self._batch = self._batch, []
        failed, self._failed_batch = self._failed_batch, []
        if batch:
            vectors, parts, reused = self._described([read for _, read in batch])
            for offered, read in batch:
                known = self._live.get(offered.text)
                if known is not None and known.state == "active" and known.sha256 == read.sha256:
                    self._unchanged += 1
                    continue
                self._added += 1
                self._linked += read.sha256 in reused
                self._retired += known is not None and known.state == "active"
                reused.add(read.sha256)
            records = [self._reference(offered, read, vectors[read.sha256]) for offered, read in batch]
            vector_of = {one.path: one.embedding for one in records}
            parts_of = {one.path: np.frombuffer(parts[one.sha256], np.int8) for one in records if one.sha256 in parts}
            like = self._duplicates.find(vector_of, parts_of)
            ids = references.upsert(self._database, records, like)
            of_ids = {ids[path]: row.tobytes() for path, row in parts_of.items()}
            reference_parts.record(self._database, self._embedder.parts_version, of_ids)
            first = {path: id_ for path, id_ in ids.items() if path not in like}
            self._duplicates.added(first, vector_of, parts_of)
            self._sizes.update({read.sha256: (read.width, read.height) for _, read in batch})
        if failed:
            for offered, _ in failed:
                known = self._live.get(offered.text)
                self._retired += known is not None and known.state == "active"
            references.record_failed(self._database, [self._failure(*pair) for pair in failed])

    def _described(self, batch: Sequence[_Read]) -> tuple[dict[str, NDArray[np.float32]], dict[str, bytes], set[str]]:
        """The vector and the parts of each content, and the digests of those that did not have to be made.

        Content from before may have a vector without parts: they are made when it is first a candidate.
        """
        contents = {read.sha256 for read in batch}
        vectors = references.embeddings(self._database, contents, self._embedder.version)
        parts = reference_parts.of_contents(self._database, self._embedder.parts_version, contents)
        reused = set(vectors)
        new = {read.sha256: read.prepared for read in batch if read.sha256 not in vectors and read.prepared is not None}
        if new:
            made = self._embedder.describe_prepared(list(new.values()))
            vectors.update(zip(new, made.vectors, strict=True))
            parts.update(zip(new, (row.tobytes() for row in made.parts), strict=True))
        return vectors, parts, reused

    def _reference(self, offered: Offered, read: _Read, vector: NDArray[np.float32]) -> ReferenceRecord:
        return ReferenceRecord(
            library=self._library,
            path=offered.text,
            sha256=read.sha256,
            width=read.width,
            height=read.height,
            embedding_version=self._embedder.version,
            embedding=vector,
            size_bytes=offered.size_bytes,
            mtime_ns=offered.mtime_ns,
            added_by_run_id=self._run_id,
        )

    def _failure(self, offered: Offered, failure: _Failure) -> FailedReferenceRecord:
        return FailedReferenceRecord(
            library=self._library,
            path=offered.text,
            error_type=failure.error_type,
            message=failure.message,
            sha256=failure.sha256,
            size_bytes=offered.size_bytes,
            mtime_ns=offered.mtime_ns,
            added_by_run_id=self._run_id,
        )

    def _retire_missing(self, seen: set[str], folders: Sequence[Path]) -> None:
        """Retire what is on record below the folders and is gone (not merely out of reach just now)."""
        gone = [
            known
            for text, known in self._live.items()
            if text not in seen and known.error_type != REMOVED and _is_gone(path_of(text, self._root), folders)
        ]
        references.retire(self._database, [known.id for known in gone])
        self._retired += sum(known.state == "active" for known in gone)


def _is_gone(path: Path, folders: Sequence[Path]) -> bool:
    if not any(path.is_relative_to(folder) for folder in folders):
        return False
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def removed_record(known: KnownReference, run_id: int | None) -> FailedReferenceRecord:
    """The mark that keeps a file out which somebody removed; recording it retires the reference."""
    return FailedReferenceRecord(
        library=known.library,
        path=known.path,
        error_type=REMOVED,
        message=f"{known.path} was removed from the library; name the file itself to add it again",
        sha256=known.sha256,
        size_bytes=known.size_bytes,
        mtime_ns=known.mtime_ns,
        added_by_run_id=run_id,
    )
