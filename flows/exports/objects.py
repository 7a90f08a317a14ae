"""The objects of a PREMIS document: files of the archive, their pages, the files that were made, the references."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from flows.exports.works import (
    MadeFile,
    UsedReference,
    Work,
    is_sequence,
    pages_of,
    source_of,
    suffix_of,
    used_references,
    works,
)
from flows.run_record import SOFTWARE
from storage.database import Database, exporting, reference_metadata, references
from storage.database.records import KnownReference, ReferenceMetadata, RunColorization
from storage.database.runs import get as get_run
from storage.database.statements import chunks
from storage.exports.formats import format_of_source
from storage.exports.records import (
    Creation,
    FileObject,
    FramesObject,
    PageObject,
    PremisObject,
    Relationship,
    RightsStatement,
    colorization_identifier,
    page_identifier,
    rights_identifier,
    source_identifier,
)

Locate = Callable[[str], tuple[str, str] | None]
"""Where a file that lay at an absolute path lies now: kind of place and place; None if it is not there."""

_AT_A_TIME = 100
HAS_SOURCE, IS_SOURCE_OF = "has source", "is source of"


class ProvenanceObjects:
    """The objects of the chosen results; what is learnt on the way is kept for the rest of the document.

    Attributes:
        references: the references used, by identifier.
        rights: what is said of rights in these; whole only when all objects were taken.
    """

    def __init__(self, database: Database, ids: Iterable[int], locate: Locate) -> None:
        self._database = database
        self._ids = ids
        self._locate = locate
        self._versions: dict[int, str] = {}
        self.references: dict[str, UsedReference] = {}
        self.rights: list[RightsStatement] = []

    def __iter__(self) -> Iterator[PremisObject]:
        for part in chunks(works(exporting.in_full(self._database, self._ids)), _AT_A_TIME):
            items = exporting.items(self._database, {row.item_id for work in part for row in work.rows})
            for work in part:
                yield from self._sources(work, items)
                yield from self._pages(work)
                yield from (self._made(one, work.made) for one in work.made)
                self.references.update((one.identifier, one) for one in used_references(work.rows))
        yield from self._references()

    def code_version(self, run_id: int) -> str:
        """The version of this program that did a run."""
        if run_id not in self._versions:
            run = get_run(self._database, run_id)
            self._versions[run_id] = run.code_version if run is not None else "unknown"
        return self._versions[run_id]

    def _sources(self, work: Work, items: dict[int, exporting.SourceItem]) -> Iterator[PremisObject]:
        for sha256, rows in work.sources:
            item = items.get(rows[0].item_id)
            is_same = item is not None and item.sha256 == sha256  # else the facts are those of a later file
            ids = {row.id for row in rows}
            made = tuple(one.identifier for one in work.made if any(row.id in ids for row in one.rows))
            pages = pages_of(rows)
            relationships = [Relationship("derivation", IS_SOURCE_OF, made, _events(rows))]
            if pages:
                relationships.append(Relationship("structural", "has part", pages))
            yield self._source(work, sha256, item if is_same else None, tuple(relationships), _events(rows))

    def _source(
        self,
        work: Work,
        sha256: str | None,
        item: exporting.SourceItem | None,
        relationships: tuple[Relationship, ...],
        events: tuple[str, ...],
    ) -> PremisObject:
        identifier, location = source_identifier(work.path, sha256), self._locate(work.absolute_path)
        if is_sequence(work):
            return FramesObject(
                identifier=identifier,
                original_name=work.path,
                sha256=sha256,
                location=location,
                relationships=relationships,
                events=events,
            )
        return FileObject(
            identifier=identifier,
            original_name=work.path,
            sha256=sha256,
            size=item.size_bytes if item is not None else None,
            format=format_of_source((item.format if item is not None else None) or suffix_of(work.path)),
            location=location,
            relationships=relationships,
            events=events,
        )

    def _pages(self, work: Work) -> Iterator[PageObject]:
        pages: dict[int, list[RunColorization]] = {}
        for row in work.rows:
            if row.kind == "page":
                pages.setdefault(row.item_id, []).append(row)
        for item_id, rows in pages.items():
            sources = tuple(dict.fromkeys(source_of(row) for row in rows))
            yield PageObject(
                identifier=page_identifier(item_id),
                name=f"{work.path}, page {rows[0].page}",
                relationships=(Relationship("structural", "is part of", sources),),
                events=_events(rows),
            )

    def _made(self, one: MadeFile, all_made: Sequence[MadeFile]) -> FileObject:
        events = _events(one.rows)
        sources = tuple(dict.fromkeys(source_of(row) for row in one.rows)) + pages_of(one.rows)
        relationships = [Relationship("derivation", HAS_SOURCE, sources, events)]
        used = tuple(reference.identifier for reference in used_references(one.rows))
        if used:
            relationships.append(Relationship("derivation", HAS_SOURCE, used, events))
        others = tuple(other.identifier for other in all_made if other.name == one.name and other.kept != one.kept)
        if others:
            relationships.append(Relationship("replacement", "is replaced by" if one.kept else "replaces", others))
        last = one.rows[-1]
        return FileObject(
            identifier=one.identifier,
            original_name=one.name,
            sha256=one.sha256,
            size=one.size,
            format=one.format,
            location=self._locate(one.absolute_path),
            creation=Creation(SOFTWARE, self.code_version(last.run_id), last.created_at),
            relationships=tuple(relationships),
            events=events,
        )

    def _references(self) -> Iterator[FileObject]:
        for part in chunks(self.references.values(), _AT_A_TIME):
            ids = [one.id for one in part if one.id is not None]
            known = references.get(self._database, ids)
            described = reference_metadata.get(self._database, ids)
            for one in part:
                row = known.get(one.id) if one.id is not None else None
                yield self._reference(one, row, described.get(one.id) if one.id is not None else None)

    def _reference(
        self, one: UsedReference, known: KnownReference | None, described: ReferenceMetadata | None
    ) -> FileObject:
        rights: tuple[str, ...] = ()
        if one.id is not None and described is not None and described.rights:
            rights = (rights_identifier(one.id),)
            basis = "statement found with the picture"
            self.rights.append(
                RightsStatement(identifier=rights[0], basis=basis, note=described.rights, objects=(one.identifier,))
            )
        path = one.absolute_path
        return FileObject(
            identifier=one.identifier,
            original_name=one.path,
            sha256=one.sha256,
            size=known.size_bytes if known is not None else None,
            format=format_of_source(suffix_of(one.path)),
            location=self._locate(path) if path is not None else None,
            rights=rights,
        )


def _events(rows: Iterable[RunColorization]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(colorization_identifier(row.id) for row in rows))
