"""The events and agents of a PREMIS document: who or what did what to which file, and when."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from flows.exports.works import MadeFile, UsedReference, Work, made_files, pages_of, source_of, used_references, works
from flows.run_record import AI_SYSTEM, SOFTWARE
from storage.database import Database, events, exporting, runs
from storage.database.records import RunColorization, StoredRun
from storage.database.statements import chunks
from storage.exports.records import Fact, Link, PremisAgent, PremisEvent, colorization_identifier, source_identifier

_AT_A_TIME = 100
_PROGRAM, _VALIDATOR = "executing program", "validator"
_CHOICE = (
    "reference_choice",
    "reference_score",
    "reference_rank",
    "match_confidence",
    "low_match",
    "index_version",
    "request_key",
    "device",
    "precision",
    "network_size",
    "seconds",
    "confidence",
)
_SHOT = (
    "number",
    "first_frame",
    "last_frame",
    "reference_path",
    "reference_sha256",
    "reference_choice",
    "reference_score",
    "reference_rank",
)
_COMPARED = "SHA-256 compared with the record"
_NEVER = datetime.min.replace(tzinfo=UTC)


class ProvenanceEvents:
    """The events of the chosen results; `agents` is whole only when all events were taken."""

    def __init__(self, database: Database, ids: Iterable[int], references: dict[str, UsedReference]) -> None:
        self._database = database
        self._ids = ids
        self._references = references
        self._runs: dict[int, StoredRun | None] = {}
        self._run_facts: dict[int, tuple[Fact, ...]] = {}
        self._failed_at: dict[str, datetime] = {}  # by object: the last event that tells of a failed check
        self.agents: dict[str, PremisAgent] = {}

    def __iter__(self) -> Iterator[PremisEvent]:
        for part in chunks(works(exporting.in_full(self._database, self._ids)), _AT_A_TIME):
            ids = [row.id for work in part for row in work.rows]
            reviews = exporting.reviews(self._database, ids)
            recorded = exporting.events_about(self._database, ids, (events.REPRODUCED, events.FIXITY_FOUND))
            for work in part:
                yield from (self._colorization(row) for row in work.rows)
                yield from (self._digest(one) for one in work.made)
                files_of = _files_by_result(work)
                for row in work.rows:
                    files = files_of.get(row.id, [])
                    yield from (self._review(review, files) for review in reviews.get(row.id, ()))
                    for event in recorded.get(row.id, ()):
                        if event.type == events.REPRODUCED:
                            yield self._reproduction(event, files)
                        else:
                            yield from self._found(event, work)
            yield from self._fixity_of_works(part)
        for used in chunks(self._references.values(), _AT_A_TIME):
            known = [(path, one.identifier, one.sha256) for one in used if (path := one.absolute_path) is not None]
            yield from self._fixity("reference", known)

    def _colorization(self, row: RunColorization) -> PremisEvent:
        run = self._run(row.run_id)
        network = f"weights:{row.weights_sha256}"
        if row.weights_sha256 is not None and network not in self.agents:
            note = f"weights with SHA-256 {row.weights_sha256}"
            self.agents[network] = PremisAgent(
                identifier=network, name=AI_SYSTEM, type="software", version=row.weights_sha256, note=note
            )
        program = self._program(run.code_version if run is not None else None)
        objects = [Link(identifier, "source") for identifier in (source_of(row), *pages_of((row,)))]
        objects += [Link(one.identifier, "reference") for one in used_references((row,))]
        made = [one.identifier for one in made_files((row,))]
        return PremisEvent(
            identifier=colorization_identifier(row.id),
            type="modification",
            at=row.created_at,
            detail="colorization",
            facts=_facts(row, self._run_facts[row.run_id]),
            outcome="success",
            note=row.message,
            agents=(Link(program, _PROGRAM), Link(network, _PROGRAM)),
            objects=(*objects, *(Link(identifier, "outcome") for identifier in made)),
        )

    def _digest(self, one: MadeFile) -> PremisEvent:
        last = one.rows[-1]
        run = self._run(last.run_id)
        return PremisEvent(
            identifier=f"digest:{one.identifier}",
            type="message digest calculation",
            at=last.created_at,
            detail="SHA-256 when the file was written",
            outcome="success",
            note=one.sha256,
            agents=(Link(self._program(run.code_version if run is not None else None), _PROGRAM),),
            objects=(Link(one.identifier),),
        )

    def _review(self, review: exporting.RecordedReview, files: Sequence[str]) -> PremisEvent:
        about = {"decision": review.decision, "shot": review.shot, "other_reference_id": review.reference_id}
        return PremisEvent(
            identifier=f"review:{review.id}",
            type="validation",
            at=review.at,
            detail="review by a person",
            facts=(Fact("review", about),),
            outcome=review.decision,
            note=review.reason,
            agents=(Link(self._person(review.reviewer), _VALIDATOR),),
            objects=tuple(map(Link, files)),
        )

    def _reproduction(self, event: exporting.RecordedEvent, files: Sequence[str]) -> PremisEvent:
        return PremisEvent(
            identifier=f"event:{event.id}",
            type="validation",
            at=event.at,
            detail="colorized again and compared with the record",
            outcome=event.outcome,
            note=event.message,
            agents=(self._agent_of(event),),
            objects=tuple(map(Link, files)),
        )

    def _found(self, event: exporting.RecordedEvent, work: Work) -> Iterator[PremisEvent]:
        """A file that was found to be another one; the message of such an event begins with what was expected."""
        expected = [(f"output {one.absolute_path}", one.sha256, one.identifier) for one in work.made]
        expected += [
            (f"source {work.absolute_path}", sha256, source_identifier(work.path, sha256))
            for sha256, _ in work.sources
            if sha256 is not None
        ]
        expected += [
            (f"reference {one.absolute_path}", one.sha256, one.identifier) for one in used_references(work.rows)
        ]
        for name, sha256, identifier in expected:
            if (event.message or "").startswith(f"{name} (expected {sha256}"):
                self._failed_at[identifier] = max(event.at, self._failed_at.get(identifier, event.at))
                yield PremisEvent(
                    identifier=f"event:{event.id}",
                    type="fixity check",
                    at=event.at,
                    detail=_COMPARED,
                    outcome="fail",
                    note=f"{event.outcome}: {event.message}",
                    agents=(self._agent_of(event),),
                    objects=(Link(identifier),),
                )
                return

    def _agent_of(self, event: exporting.RecordedEvent) -> Link:
        name, _, version = event.agent.partition(" ")
        if name == SOFTWARE:
            return Link(self._program(version or None), _PROGRAM)
        return Link(self._person(event.agent), _VALIDATOR)

    def _person(self, name: str) -> str:
        identifier = f"person:{name}"
        self.agents[identifier] = PremisAgent(identifier=identifier, name=name, type="person")
        return identifier

    def _fixity_of_works(self, part: Sequence[Work]) -> Iterator[PremisEvent]:
        made = [(one.absolute_path, one.identifier, one.sha256) for work in part for one in work.made]
        yield from self._fixity("output", made)
        sources = [
            (work.absolute_path, source_identifier(work.path, sha256), sha256)
            for work in part
            for sha256, _ in work.sources
            if sha256 is not None
        ]
        yield from self._fixity("source", sources)

    def _fixity(self, what: str, files: Sequence[tuple[str, str, str]]) -> Iterator[PremisEvent]:
        """The last checks of files (absolute path, identifier, digest), where it was this content that was expected."""
        checks = exporting.fixity_checks(self._database, what, [path for path, _, _ in files])
        for path, identifier, sha256 in files:
            check = checks.get(path)
            if check is None or check.expected_sha256 != sha256:
                continue
            if check.finding != "intact" and self._failed_at.get(identifier, _NEVER) >= check.checked_at:
                continue  # the event that tells of it is there already
            note = check.finding if check.found_sha256 is None else f"{check.finding}; found {check.found_sha256}"
            yield PremisEvent(
                identifier=f"fixity:{check.id}:{check.checked_at.isoformat()}",
                type="fixity check",
                at=check.checked_at,
                detail=_COMPARED,
                outcome="pass" if check.finding == "intact" else "fail",
                note=note,
                agents=(Link(self._program(None), _PROGRAM),),
                objects=(Link(identifier),),
            )

    def _run(self, run_id: int) -> StoredRun | None:
        if run_id not in self._runs:
            run = self._runs[run_id] = runs.get(self._database, run_id)
            self._run_facts[run_id] = _facts_of_run(run) if run is not None else ()
        return self._runs[run_id]

    def _program(self, version: str | None) -> str:
        identifier = f"software:{SOFTWARE}" + (f":{version}" if version is not None else "")
        if identifier not in self.agents:
            self.agents[identifier] = PremisAgent(
                identifier=identifier, name=SOFTWARE, type="software", version=version
            )
        return identifier


def _files_by_result(work: Work) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for one in work.made:
        for row in one.rows:
            found.setdefault(row.id, []).append(one.identifier)
    return found


def _facts(row: RunColorization, of_run: tuple[Fact, ...]) -> tuple[Fact, ...]:
    result = Fact("result", {name: getattr(row, name) for name in _CHOICE} | {"started_at": row.started_at})
    shots = (Fact("shot", {name: getattr(shot, name) for name in _SHOT}) for shot in row.shots)
    return (result, *of_run, *shots)


def _facts_of_run(run: StoredRun) -> tuple[Fact, ...]:
    about = {"id": run.id, "flow_run_id": run.flow_run_id, "code_version": run.code_version}
    parameters = (Fact("parameter", {"name": name, "value": run.parameters[name]}) for name in sorted(run.parameters))
    versions = run.library_versions
    libraries = (Fact("library", {"name": name, "version": versions[name]}) for name in sorted(versions))
    return (Fact("run", about), *parameters, *libraries)
