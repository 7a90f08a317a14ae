"""Ingest: every file of the archive becomes an item, identified and hashed once, and again only when it changed.

A folder of numbered film frames is one item, the film; of a document each page is one.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal

from flows.errors import EnvironmentProblem
from flows.failures import end_if_surroundings
from flows.known_items import Key, KnownItems, as_known, says_the_same
from storage.database import Database, items
from storage.database.records import ItemRecord, KnownItem
from storage.decoding import Decoder
from storage.errors import StorageError
from storage.film import film_sha256, frames_of_films, probe
from storage.fixity import sha256_file
from storage.images import ImageFacts
from storage.paths import path_to_text
from storage.signatures import FILM_SUFFIXES
from storage.walk import Entry, FoundFile, Problem, walk_archive

RECORD_EVERY = 500  # items; a kill in a long first walk loses no more hashing than that
NO_SCAN = "the page holds no scan that could be colorized"
Sequences = Literal["auto", "always", "never"]


@dataclass(frozen=True, slots=True)
class IngestedItem:
    """One item as it lies in the archive now.

    `problem` says why it cannot be colorized at all (error type, one line), `skip` why it is left out.
    """

    record: ItemRecord
    item_id: int | None = None
    problem: tuple[str, str] | None = None
    skip: str | None = None

    @property
    def path(self) -> str:
        """Path relative to the archive, as text."""
        return self.record.path

    @property
    def key(self) -> Key:
        """What tells it from the other items of its archive."""
        return self.record.path, self.record.page

    @property
    def is_colorizable(self) -> bool:
        """Whether the item goes into a batch."""
        return self.problem is None and self.skip is None

    @property
    def decoded_bytes(self) -> int:
        """Memory that the decoded picture takes, in bytes; 0 where the size is not known."""
        record = self.record
        depth = 2 if (record.bit_depth or 8) > 8 else 1
        return (record.width or 0) * (record.height or 0) * (record.channels or 3) * depth


@dataclass(frozen=True, slots=True)
class Ingest:
    """What the walk found, sorted by path and page.

    `hashed` counts the files that were new or changed, `own` those of the output folder that were met through a link.
    """

    items: tuple[IngestedItem, ...]
    ignored: int = 0
    hashed: int = 0
    own: int = 0

    @property
    def looked_at(self) -> int:
        """Files that the walk met, whatever they are."""
        return sum(item.record.page == 1 for item in self.items) + self.ignored + self.own

    @property
    def summary(self) -> str:
        """What was met besides items that are as they were, in words."""
        own = f", {self.own} of the output folder met through a link" if self.own else ""
        return f"{self.hashed} new or changed, {self.ignored} other files{own}"


@dataclass(slots=True)
class _Tally:
    items: list[IngestedItem] = field(default_factory=list)
    ignored: int = 0
    hashed: int = 0
    own: int = 0


def ingest_archive(
    database: Database | None,
    decoder: Decoder,
    archive: Path,
    output: Path | None = None,
    *,
    record: bool = True,
    sequences: Sequences = "auto",
) -> Ingest:
    """Walk the archive and bring its items into the database; returns them with their ids.

    Only what is new or has another size or modification time is opened and hashed. A dry run has no database where
    there is none yet, and records nothing; what is new is then not hashed.

    Args:
        decoder: looks at the headers of pictures and documents.
        output: the output folder; our own copies in it are no masters, should a link in the archive lead there.
        sequences: whether folders of numbered TIFF or DPX pictures are films: always, never, or where they look so.

    Raises:
        EnvironmentProblem: the archive folder itself cannot be listed, or its disk or share is gone.
    """
    known = KnownItems.read(database, path_to_text(archive))
    tally = _Tally()
    found: list[IngestedItem] = []
    is_own = _lies_in(output)
    for entry in _with_sequences(archive, walk_archive(archive), known.files, sequences):
        if is_own(entry.path):
            tally.own += 1
        elif isinstance(entry, FoundFile):
            tally.items += _examine(archive, entry, known, tally, decoder, hashing=record)
        elif isinstance(entry, Problem):
            if not entry.relative.parts:
                raise EnvironmentProblem(entry.message)
            tally.items.append(_from_problem(archive, entry))
        else:
            tally.ignored += 1
        if database is not None and record and len(tally.items) - len(found) >= RECORD_EVERY:
            found += _record(database, tally.items[len(found) :], known)
    found += _record(database, tally.items[len(found) :], known) if database is not None and record else tally.items
    found.sort(key=lambda item: item.key)
    return Ingest(tuple(found), tally.ignored, tally.hashed, tally.own)


def _with_sequences(
    archive: Path, entries: Iterable[Entry], known: Mapping[str, KnownItem], sequences: Sequences
) -> Iterable[Entry]:
    """The entries, with one for the film in place of its frames."""
    if sequences == "never":
        return entries
    entries = [*entries]

    def is_film(folder: Path) -> bool:
        earlier = known.get(path_to_text(PurePosixPath(folder.relative_to(archive))))
        return sequences == "always" or (earlier is not None and earlier.kind == "film")

    candidates = [entry for entry in entries if _may_be_frame(entry, known, sequences)]
    films = frames_of_films((entry.path for entry in candidates), is_film)
    frames = {frame for members in films.values() for frame in members}
    sizes = {entry.path: (entry.size_bytes, entry.mtime_ns) for entry in candidates if isinstance(entry, FoundFile)}
    kept = [entry for entry in entries if entry.path not in frames]
    for folder, members in films.items():
        total = sum(sizes[frame][0] for frame in members)
        latest = max(sizes[frame][1] for frame in members)
        kept.append(FoundFile(folder, PurePosixPath(folder.relative_to(archive)), total, latest, "film", "sequence"))
    return kept


def _may_be_frame(entry: Entry, known: Mapping[str, KnownItem], sequences: Sequences) -> bool:
    """Whether the entry may be a frame of a film; what is known for a photograph is not looked at again."""
    if not isinstance(entry, FoundFile) or entry.format not in ("dpx", "tiff"):
        return False
    earlier = known.get(path_to_text(entry.relative))
    return (
        sequences == "always"
        or earlier is None
        or (earlier.size_bytes, earlier.mtime_ns) != (entry.size_bytes, entry.mtime_ns)
    )


def _lies_in(folder: Path | None) -> Callable[[Path], bool]:
    """Tells whether a file lies in the folder once all links are followed; each of its folders is resolved once."""
    if folder is None:
        return lambda path: False
    real_folder = folder.resolve()

    @lru_cache(maxsize=1024)
    def folder_lies_in(parent: Path) -> bool:
        return _resolved(parent).is_relative_to(real_folder)

    def lies_in(path: Path) -> bool:
        return _resolved(path).is_relative_to(real_folder) if path.is_symlink() else folder_lies_in(path.parent)

    return lies_in


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle, which the walk reports
        return path


def _examine(
    archive: Path, found: FoundFile, known: KnownItems, tally: _Tally, decoder: Decoder, *, hashing: bool
) -> list[IngestedItem]:
    """The items that a file is: one, or one for each page."""
    path = path_to_text(found.relative)
    record = ItemRecord(
        archive=path_to_text(archive),
        path=path,
        kind=found.kind,
        size_bytes=found.size_bytes,
        mtime_ns=found.mtime_ns,
        format=found.format,
    )
    earlier = known.files.get(path)
    unchanged = earlier and (earlier.size_bytes, earlier.mtime_ns) == (found.size_bytes, found.mtime_ns)
    if earlier and unchanged and earlier.sha256 and earlier.width is not None:
        return [_item(as_known(record, row), row.id) for row in known.all_of(path)]
    tally.hashed += 1
    return _identify(record, found.path, decoder, hashing=hashing)


def _item(record: ItemRecord, item_id: int | None = None) -> IngestedItem:
    return IngestedItem(record, item_id, skip=NO_SCAN if record.kind == "page" and not record.width else None)


def _identify(record: ItemRecord, file: Path, decoder: Decoder, *, hashing: bool) -> list[IngestedItem]:
    try:
        if hashing:
            record = replace(record, sha256=film_sha256(file) if record.kind == "film" else sha256_file(file))
        if record.kind == "film":
            return [_item(_film(record, file))]
        pages = decoder.identify(file)
    except StorageError as error:
        end_if_surroundings(error, record.path)
        problem = (error.error_type, error.message)
    except OSError as error:
        end_if_surroundings(error, record.path)
        problem = (
            "unreadable",
            f"{record.path} cannot be read ({error.strerror}); check its permissions and the disk",
        )
    else:
        kind = "page" if record.kind == "page" or len(pages) > 1 else record.kind
        return [_item(_picture(replace(record, kind=kind, page=page), facts)) for page, facts in enumerate(pages, 1)]
    return [IngestedItem(record, problem=problem)]


def _picture(record: ItemRecord, facts: ImageFacts) -> ItemRecord:
    return replace(
        record,
        format=facts.format,
        width=facts.width,
        height=facts.height,
        channels=facts.channels,
        bit_depth=facts.bit_depth,
    )


def _film(record: ItemRecord, path: Path) -> ItemRecord:
    facts = probe(path)
    return replace(
        record,
        format=f"{facts.container}/{facts.codec}",
        width=facts.width,
        height=facts.height,
        channels=1 if facts.subsampling == "gray" else 3,
        bit_depth=facts.bit_depth,
        frames=facts.declared_frames,
        duration_seconds=float(facts.duration) if facts.duration is not None else None,
    )


def _from_problem(archive: Path, problem: Problem) -> IngestedItem:
    try:
        status = problem.path.lstat()
        size, modified = status.st_size, status.st_mtime_ns
    except OSError:
        size, modified = 0, 0
    record = ItemRecord(
        archive=path_to_text(archive),
        path=path_to_text(problem.relative),
        kind="film" if problem.path.suffix.lower() in FILM_SUFFIXES else "photograph",
        size_bytes=size,
        mtime_ns=modified,
    )
    return IngestedItem(record, problem=(problem.error_type, problem.message))


def _record(database: Database, found: list[IngestedItem], known: KnownItems) -> list[IngestedItem]:
    """Write what differs from the database, and give every item its id."""
    new = [item for item in found if item.item_id is None]
    changed = [item.record for item in new if not says_the_same(item.record, known.of(item.key))]
    ids = items.upsert(database, changed) if changed else {}

    def id_of(item: IngestedItem) -> int:
        earlier = known.of(item.key)
        return ids[item.key] if item.key in ids or earlier is None else earlier.id

    return [item if item.item_id is not None else replace(item, item_id=id_of(item)) for item in found]
