"""A bag of an output folder: the copies, what they were made from, and the record of it all."""

from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

from flows.errors import UsageError
from flows.exports.places import check_apart
from flows.exports.premis import nothing_done, write_provenance
from flows.exports.report import ExportReport, failures, record_export
from flows.exports.works import UsedReference, Work, is_sequence, used_references, works
from flows.progress import Progress, SilentProgress
from flows.run_record import SOFTWARE
from flows.version import code_version
from storage.database import Database, audit, exporting
from storage.exports.bag import Bag, BagWriter, FileNotInBag
from storage.exports.tables import write_csv
from storage.film import UnreadableFilm, find_sequence
from storage.paths import path_to_text, text_to_path

VIEWS = ("audit_item", "audit_output", "audit_event", "audit_review")


def export_bag(
    database: Database,
    output_root: str,
    target: Path,
    run_id: int | None = None,
    *,
    organization: str | None = None,
    identifier: str | None = None,
    with_sources: bool = False,
    with_rejected: bool = False,
    progress: Progress | None = None,
) -> ExportReport:
    """Make a BagIt bag of what counts in an output folder (of one run).

    A file that is not what is on record is left out and listed.

    Args:
        output_root: as the database has it.
        target: the folder that becomes the bag; it appears when the bag is whole and valid.
        with_sources: put the archive's files in too.
        with_rejected: also what a person rejected.

    Raises:
        UsageError: there is nothing to export, or `target` is no place for it.
    """
    roots = exporting.runs_into(database, output_root, run_id)
    _check_target(target)
    check_apart(database, target, output_root)
    selection = exporting.Selection(output_root=output_root, run_id=run_id, with_rejected=with_rejected)
    ids = exporting.selected(database, selection)
    if not ids:
        raise nothing_done(output_root, run_id)
    progress = progress or SilentProgress()
    with BagWriter(target) as writer:
        payload = _Payload(writer)
        progress.begin(len(ids), "results")
        for work in works(exporting.in_full(database, ids)):
            before = len(payload.failures)
            payload.add_work(work, with_sources=with_sources)
            progress.advance(len(work.rows), failed=len(payload.failures) > before)
        payload.add_references()
        progress.say("writing the record, and checking the whole bag")
        objects = write_provenance(database, ids, writer.made("provenance/premis.xml"), payload.locate).objects
        _write_tables(database, writer, {run.run_id for run in roots}, run_id)
        bag = writer.finish(_info(organization, identifier, output_root, run_id))
    report = ExportReport(
        files=(target,),
        written=bag.files,
        objects=objects,
        notes=(
            f"{bag.files} files, {bag.bytes} bytes in {path_to_text(target)}",
            f"SHA-256 of its manifest-sha256.txt: {bag.sha256}",
        ),
        failures=failures(payload.failures),
    )
    record_export(database, _message(bag), run_id, report)
    return report


class _Payload:
    """The files of a bag, with where each of them went."""

    def __init__(self, writer: BagWriter) -> None:
        self._writer = writer
        self._places: dict[str, str] = {}
        self._references: dict[str, UsedReference] = {}
        self.failures: list[tuple[str, str]] = []

    def locate(self, path: str) -> tuple[str, str] | None:
        """Where a file that lay at an absolute path is in the bag, for PREMIS."""
        place = self._places.get(path)
        return None if place is None else ("path in the bag", place)

    def add_work(self, work: Work, *, with_sources: bool) -> None:
        for one in work.made:
            self._add(one.absolute_path, f"colorized/{one.path}", one.sha256)
        if with_sources:
            for sha256, _ in work.sources:
                if sha256 is not None:
                    self._add_source(work, sha256)
        self._references.update((one.identifier, one) for one in used_references(work.rows))

    def add_references(self) -> None:
        """The references of all works that were added."""
        for one in self._references.values():
            path = one.absolute_path
            if path is None:
                self.failures.append((one.path, "the reference was given from a place that is not on record"))
            else:
                in_library = one.path if one.library is not None else f"given/{one.path.rpartition('/')[2]}"
                self._add(path, f"references/{in_library}", one.sha256)

    def _add_source(self, work: Work, sha256: str) -> None:
        text = f"sources/{work.path}"
        if not is_sequence(work):
            self._add(work.absolute_path, text, sha256)
            return
        try:
            pattern = find_sequence(text_to_path(work.absolute_path))
        except (UnreadableFilm, ValueError) as error:
            self.failures.append((work.absolute_path, str(error)))
            return
        frames = [pattern.path(number) for number in range(pattern.first, pattern.first + pattern.count)]
        self._keep(work.absolute_path, lambda: self._writer.add_frames(frames, text, sha256))

    def _add(self, path: str, text: str, sha256: str) -> None:
        self._keep(path, lambda: self._writer.add(text_to_path(path), text, sha256))

    def _keep(self, path: str, add: Callable[[], str]) -> None:
        try:
            self._places[path] = add()
        except FileNotInBag as error:
            self.failures.append((path, error.message))
        except ValueError:  # a backslash that starts no escape
            self.failures.append((path, "its path on record is none of this program"))


def _write_tables(database: Database, writer: BagWriter, run_ids: set[int], run_id: int | None) -> None:
    """The audit views as far as they are about these runs; events without a run only if no run was named."""
    for view in VIEWS:
        where = audit.AuditFilter(run_id=run_id)
        rows = (
            row
            for row in audit.stream(database, view, where)
            if row["run_id"] in run_ids or (row["run_id"] is None and run_id is None)
        )
        write_csv(writer.made(f"provenance/{view}.csv"), audit.columns(view), rows)


def _info(organization: str | None, identifier: str | None, output_root: str, run_id: int | None) -> dict[str, str]:
    name = output_root.rstrip("/").rpartition("/")[2] or output_root
    of_run = f", run {run_id}" if run_id is not None else ""
    found = {
        "Bagging-Date": date.today().isoformat(),
        "Bag-Software-Agent": f"{SOFTWARE} {code_version()} with bagit {version('bagit')}",
        "External-Description": f"Machine-coloured copies of the folder {name}{of_run}, with their provenance",
    }
    if organization:
        found["Source-Organization"] = organization
    if identifier:
        found["External-Identifier"] = identifier
    return found


def _message(bag: Bag) -> str:
    return f"bag {path_to_text(bag.path.name)}: {bag.files} files, SHA-256 of manifest-sha256.txt {bag.sha256}"


def _check_target(target: Path) -> None:
    name = path_to_text(target)
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise UsageError(f"{name} is not a folder; name a new folder for the bag")
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"{name} is not empty; name a new folder for the bag")
