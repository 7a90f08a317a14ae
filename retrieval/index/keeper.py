"""The index of a library in step with its database: opened, brought up to date, written down, built again.

Several processes may have it open. They read without waiting for each other; one at a time writes.
"""

import hashlib
import logging
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np

from retrieval.index.build import Source, build, continued, load, save
from retrieval.index.content import Ids, index_version
from retrieval.index.folder import sweep, writing
from retrieval.index.index import VectorIndex
from retrieval.index.manifest import Anchors, Manifest, NoIndex, StaleIndex, read_manifest
from retrieval.index.plan import IndexPlan
from storage.database import Database, reference_vectors, references
from storage.fixity import sweep_partial_files

log = logging.getLogger(__name__)

_ANCHORS = 8
_HELD_AT_MOST = 0.1
"""More changes than this part of the vectors are not gathered in memory: the index is built anew."""
_ALWAYS_HELD = 1000
_NEWER_MANIFESTS = 5
"""Times that a file may be gone because another process has just replaced the index."""


class IndexKeeper:
    """Keeps ``index`` what the database says; `refresh` sees what has changed there.

    Args:
        database: where the library is recorded.
        library: its root as it is recorded.
        folder: where builds are kept; can be deleted.
        embedding_version: vectors of other versions are not looked at.
        dimension: length of the vectors.
        plan: which kind of index fits how many vectors.
    """

    def __init__(
        self,
        database: Database,
        library: str,
        folder: Path,
        embedding_version: str,
        dimension: int,
        plan: IndexPlan | None = None,
    ) -> None:
        self._database, self._library, self._folder = database, library, folder
        self._embedding_version, self._dimension = embedding_version, dimension
        self._plan = plan or IndexPlan()
        self._kept = True
        self._tidy()
        self.index = self._opened()
        self.refresh()

    @property
    def version(self) -> str:
        """Hex digest of what searches answer from: the embedding's version and every reference's id and content."""
        return index_version(self._embedding_version, self.index.content)

    def refresh(self) -> None:
        """See what is in the database now."""
        latest = reference_vectors.latest_change(self._database, self._library)
        if latest < self.index.change:
            log.warning(
                "%s: the database is older than the search index, which is built again from the database", self._folder
            )
            self.rebuild()
        elif latest > self.index.change:
            self.index = self._up_to_date(self.index)
        if self._is_due(self.index) and self._kept:
            self._write_down()

    def rebuild(self) -> None:
        """Build the index anew from the database."""
        with writing(self._folder, wait=True):
            self.index = self._built()

    def _tidy(self) -> None:
        """Remove what a process left that was killed while it wrote."""
        if not self._folder.is_dir():
            return
        sweep_partial_files(self._folder)
        with writing(self._folder, wait=False) as ours:
            if ours:
                with suppress(StaleIndex, OSError):
                    sweep(self._folder, read_manifest(self._folder))

    def _opened(self) -> VectorIndex:
        """The index on disk, or a new one where there is none that can be used."""
        index = self._usable(tell=True)
        if index is not None:
            return index
        with writing(self._folder, wait=True):
            # the one we waited for may have built it
            return self._usable(tell=False) or self._built()

    def _usable(self, *, tell: bool) -> VectorIndex | None:
        """The index on disk, if it is whole and of this database; else why not, in the log."""
        try:
            return self._from_disk()
        except NoIndex as reason:
            log.info("%s; it is built from the database", reason)
        except StaleIndex as reason:
            log.log(
                logging.WARNING if tell else logging.DEBUG,
                "%s: the search index is built again from the database",
                reason,
            )
        return None

    def _from_disk(self) -> VectorIndex:
        missing = ""
        for _ in range(_NEWER_MANIFESTS):
            manifest = read_manifest(self._folder)
            self._check(manifest)
            try:
                return load(self._folder, manifest)
            except FileNotFoundError as error:
                if error.filename == missing:
                    break
                missing = error.filename  # another process may have replaced the index: look again
        raise StaleIndex(f"{missing} is missing")

    def _check(self, manifest: Manifest) -> None:
        """Raises `StaleIndex` for a build of other vectors."""
        if manifest.embedding_version != self._embedding_version or manifest.dimension != self._dimension:
            raise StaleIndex(f"{self._folder} was built with another embedding model")
        if manifest.library != self._library or not manifest.count:
            raise NoIndex(f"{self._folder}: there is no search index of {self._library} yet")
        if manifest.anchors != self._anchors(np.array(manifest.anchors.ids, np.int64)):
            raise StaleIndex(f"{self._folder} was built from another database")

    def _anchors(self, ids: Ids) -> Anchors:
        """Some of these references, the newest among them, with what never changes in their rows."""
        ids = np.sort(ids)
        if len(ids) > _ANCHORS:
            ids = ids[np.linspace(0, len(ids) - 1, _ANCHORS).astype(np.int64)]
        digest = hashlib.sha256()
        for id_, row in sorted(references.get(self._database, ids.tolist()).items()):
            digest.update(
                f"{id_} {row.library} {row.sha256} {row.added_at.isoformat()}\n".encode(errors="surrogatepass")
            )
        return Anchors(tuple(ids.tolist()), digest.hexdigest())

    def _up_to_date(self, index: VectorIndex) -> VectorIndex:
        """``index`` and what was written since; built anew if that is too much to hold in memory."""
        most = max(_ALWAYS_HELD, _HELD_AT_MOST * len(index.alive))
        if reference_vectors.count_changed(self._database, self._library, index.change) > most:
            with writing(self._folder, wait=True):
                newer = self._newer(index)
                return self._built() if newer is None else newer
        return self._followed(index)

    def _followed(self, index: VectorIndex) -> VectorIndex:
        arguments = self._database, self._library, self._embedding_version, index.change
        changes = list(reference_vectors.changes_since(*arguments))
        return index.with_changes(changes) if changes else index

    def _newer(self, index: VectorIndex) -> VectorIndex | None:
        """What another process has written down since, and the little that it lacks; None if it lacks much."""
        try:
            if read_manifest(self._folder).change <= index.change:
                return None
            newer = self._from_disk()
        except StaleIndex:
            return None
        left = reference_vectors.count_changed(self._database, self._library, newer.change)
        return self._followed(newer) if left <= _ALWAYS_HELD else None

    def _is_due(self, index: VectorIndex) -> bool:
        return index.unsaved > 0 and index.unsaved >= self._plan.merged_share * len(index.alive)

    def _write_down(self) -> None:
        """Write what is in memory alone to the disk, unless another process is about to do so."""
        with writing(self._folder, wait=False) as ours:
            if not ours:
                return
            self.index = self._newer(self.index) or self.index
            if not self._is_due(self.index):
                return
            if self._outgrown(self.index):
                self.index = self._built()
                return
            try:
                manifest = continued(self._folder, self.index, self._anchors)
                save(self._folder, manifest)
                self.index = load(self._folder, manifest)
            except (StaleIndex, FileNotFoundError) as reason:
                log.warning("%s: the search index is built again from the database", reason)
                self.index = self._built()
            except OSError as error:
                self._not_kept(error)

    def _outgrown(self, index: VectorIndex) -> bool:
        lists = index.manifest.lists
        if lists is None:
            return len(index) > self._plan.flat_up_to
        dead = 1 - len(index) / (len(index.alive) + len(index.delta))
        grown = len(index) > self._plan.retrained_growth * lists.trained_for
        return grown or dead > self._plan.dead_share or len(index) <= self._plan.flat_up_to

    def _built(self) -> VectorIndex:
        """An index made from the database; kept in a folder that goes with the process if ours cannot be written to."""
        if self._kept:
            try:
                return self._built_in(self._folder)
            except OSError as error:
                self._not_kept(error)
        with tempfile.TemporaryDirectory(prefix="archive-colorizer-index-") as folder:
            return self._built_in(Path(folder))  # what is opened stays readable

    def _built_in(self, folder: Path) -> VectorIndex:
        change = reference_vectors.latest_change(self._database, self._library)
        source = Source(self._library, self._embedding_version, self._dimension, change, self._anchors)
        rows = reference_vectors.active(self._database, self._library, self._embedding_version)
        manifest = build(folder, source, rows, self._plan)
        save(folder, manifest)
        return load(folder, manifest)

    def _not_kept(self, error: Exception) -> None:
        self._kept = False
        log.warning(
            "%s: the search index cannot be written there (%s), it is held by this process alone; "
            "check rights and space",
            self._folder,
            error,
        )
