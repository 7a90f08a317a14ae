"""One verification from its beginning, or from where it was cut off, to its end."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.errors import UsageError
from flows.fixity.hashing import look_at_all
from flows.fixity.ledger import Ledger
from flows.fixity.output_folder import find_unknown, is_at_work
from flows.progress import Progress
from storage.database import Database, events, expected_files, fixity, runs
from storage.database.fixity import Checked, Verification
from storage.paths import path_to_text

SECONDS_BETWEEN_RECORDS = 3.0
_MOST_UNRECORDED = 1000
THE_RECORD = "the record"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be verified.

    Args:
        run_id: only the files of this run.
        output: only this output folder.
        files, record: the files on record, and the record itself.
        restart: do not go on with a verification that was cut off.
        noted: an end of the chain of events that was noted down earlier.
    """

    run_id: int | None = None
    output: Path | None = None
    files: bool = True
    record: bool = True
    restart: bool = False
    noted: events.Head | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How many files were looked at (with those before a verification was cut off), how many findings there are, and
    the end of the chain of events."""

    files: int
    findings: int
    head: events.Head | None


def verify(database: Database, wanted: Wanted, ledger: Ledger, progress: Progress) -> Result:
    """Look at every file on record, and at the record; what is not as it was is then in the ledger.

    Raises:
        UsageError: there is no such run or output folder on record.
        DatabaseError: the database cannot be used.
    """
    roots = _output_roots(database, wanted)
    verification = _begin(database, wanted, roots, progress)
    files = 0
    if wanted.files:
        files = _check_files(database, wanted, roots, verification, ledger, progress)
    if wanted.record:
        progress.say("checking the record")
        _check_record(database, wanted, ledger)
    findings = ledger.count_findings()
    if verification is not None:
        late = ledger.late_findings(fixity.MOST_EVENTS)
        fixity.end(database, verification, late, findings, counts(wanted, files, findings))
    return Result(files, findings, database.run_read(events.head))


def counts(wanted: Wanted, files: int, findings: int) -> str:
    """What was looked at, in words."""
    looked_at = [f"{files} files"] * wanted.files + [THE_RECORD] * wanted.record
    return f"{' and '.join(looked_at)} checked, {findings} changed, missing or unknown"


def _output_roots(database: Database, wanted: Wanted) -> list[str]:
    """The output folders that are verified, as they are on record."""
    if wanted.run_id is not None:
        run = runs.get(database, wanted.run_id)
        if run is None:
            raise UsageError(
                f"there is no run {wanted.run_id} in this database; `archive-colorizer audit runs` lists them"
            )
        return [run.output_root]
    known = expected_files.output_roots(database)
    if wanted.output is None:
        return known
    here = path_to_text(wanted.output.resolve())
    if here not in known:
        folders = ", ".join(known[:5]) or "none at all"
        raise UsageError(f"this database has no records of the output folder {here}; it has those of {folders}")
    return [here]


def _begin(database: Database, wanted: Wanted, roots: list[str], progress: Progress) -> Verification | None:
    """None where the database may only be read."""
    try:
        verification, is_earlier = fixity.begin(
            database, _scope(wanted, roots), wanted.run_id, restart=wanted.restart or not wanted.files
        )
    except fixity.ReadOnlyDatabase:
        progress.say("note: the database may only be read, so what is found is not recorded in it")
        return None
    if is_earlier:
        begun = verification.at.strftime("%Y-%m-%d %H:%M")
        progress.say(f"going on with the verification that began {begun} UTC (--restart begins anew)")
    return verification


def _scope(wanted: Wanted, roots: list[str]) -> str:
    if not wanted.files:
        return THE_RECORD
    if wanted.run_id is not None:
        return f"run {wanted.run_id}"
    return f"output folder {roots[0]}" if len(roots) == 1 else "all output folders"


def _check_files(
    database: Database,
    wanted: Wanted,
    roots: list[str],
    verification: Verification | None,
    ledger: Ledger,
    progress: Progress,
) -> int:
    busy = {root for root in roots if _has_run_at_work(database, root)}
    for root in sorted(busy):
        progress.say(
            f"note: a run is at work in {root}; what it is writing now may be told as changed or missing, and files"
            " that no record tells of are not looked for there"
        )
    only = roots[0] if wanted.output is not None else None
    ledger.expect(expected_files.expected_files(database, output_root=only, run_id=wanted.run_id))
    if verification is not None:
        ledger.pass_over(fixity.checked_since(database, verification.at))
    total = ledger.count_files()
    progress.begin(total, "files")
    _hash(database, verification, ledger, progress)
    if wanted.run_id is None:
        for root in roots:
            if root not in busy:  # else there are copies that are not recorded yet
                _look_for_unknown(database, root, verification, ledger)
    return total


def _has_run_at_work(database: Database, root: str) -> bool:
    run = runs.latest(database, root)
    return run is not None and run.state == "running" and is_at_work(root)


def _hash(database: Database, verification: Verification | None, ledger: Ledger, progress: Progress) -> None:
    earlier = 0
    for file in ledger.files():
        if file.earlier is not None:
            earlier += 1
            _note(ledger, file.compare(file.earlier))
    progress.pass_over(earlier)
    with _recorded_now_and_then(database, verification) as unrecorded:
        for answer in look_at_all(file for file in ledger.files() if file.earlier is None):
            if answer is not None:
                file, looked = answer
                found = file.compare(looked)
                unrecorded.add(found)
                is_intact = _note(ledger, found)
                progress.advance(failed=not is_intact)
            unrecorded.record_if_due()


def _note(ledger: Ledger, found: list[Checked]) -> bool:
    """Whether the file is intact; else its findings are in the ledger."""
    findings = [one for one in found if one.finding != "intact"]
    for one in findings:
        ledger.find(one)
    return not findings


class _Unrecorded:
    """What was found and is not in the database yet."""

    def __init__(self, database: Database, verification: Verification | None) -> None:
        self._database = database
        self._verification = verification
        self._found: list[Checked] = []
        self._last = time.monotonic()

    def add(self, found: list[Checked]) -> None:
        if self._verification is not None:
            self._found += found

    def record_if_due(self) -> None:
        if len(self._found) >= _MOST_UNRECORDED or time.monotonic() - self._last >= SECONDS_BETWEEN_RECORDS:
            self.record()

    def record(self) -> None:
        found, self._found = self._found, []
        if found:
            fixity.record(self._database, found, self._verification)
        self._last = time.monotonic()


@contextmanager
def _recorded_now_and_then(database: Database, verification: Verification | None) -> Iterator[_Unrecorded]:
    """However the block ends, what was found in it is recorded."""
    unrecorded = _Unrecorded(database, verification)
    try:
        yield unrecorded
    finally:
        unrecorded.record()


def _look_for_unknown(database: Database, root: str, verification: Verification | None, ledger: Ledger) -> None:
    found: list[Checked] = []

    def find(one: Checked) -> None:
        ledger.find(one, is_late=True)
        found.append(one)
        if len(found) >= _MOST_UNRECORDED:
            record()

    def record() -> None:
        if verification is not None:
            fixity.record(database, found)
        found.clear()

    find_unknown(database, root, ledger, find)
    record()


def _check_record(database: Database, wanted: Wanted, ledger: Ledger) -> None:
    known: list[int] = []
    for one in events.check(database, wanted.noted):
        colorization_id = one.id if one.kind == "colorization" and one.finding != "missing" else None
        if colorization_id is not None:
            known.append(colorization_id)
        ledger.find(Checked("record", one.finding, one.name, colorization_id=colorization_id), is_late=True)
    for contradiction in fixity.contradictions(database, known):
        ledger.find(contradiction, is_late=True)
