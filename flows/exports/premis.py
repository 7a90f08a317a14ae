"""The PREMIS document of an output folder: every file, where it came from, what was done to it, by whom."""

from collections.abc import Iterable
from pathlib import Path

from flows.errors import UsageError
from flows.exports.history import ProvenanceEvents
from flows.exports.objects import Locate, ProvenanceObjects
from flows.exports.places import check_apart
from flows.exports.report import ExportReport, record_export
from storage.database import Database, exporting
from storage.exports.premis import PremisCounts, write_premis
from storage.fixity import sha256_file
from storage.paths import path_to_text


def export_premis(database: Database, output_root: str, target: Path, run_id: int | None = None) -> ExportReport:
    """Write what is on record of an output folder (of one run) as PREMIS 3.0: what counts, and what was kept of old.

    Args:
        output_root: as the database has it.

    Raises:
        UsageError: there is nothing to tell of, or `target` is a folder, or lies in one that was read.
    """
    name = path_to_text(target)
    if target.is_dir():
        raise UsageError(f"{name} is a folder; name a file for the PREMIS document, e.g. {name}/premis.xml")
    check_apart(database, target, output_root, in_output=True)
    ids = exporting.selected(database, exporting.Selection(output_root=output_root, run_id=run_id, with_kept=True))
    if not ids:
        raise nothing_done(output_root, run_id)
    counts = write_provenance(database, ids, target, lambda path: ("file path", path))
    report = ExportReport(
        files=(target,),
        written=1,
        objects=counts.objects,
        notes=(f"{counts.objects} objects, {counts.events} events, {counts.agents} agents in {name}",),
    )
    record_export(
        database, f"PREMIS document {path_to_text(target.name)}, SHA-256 {sha256_file(target)}", run_id, report
    )
    return report


def write_provenance(database: Database, ids: Iterable[int], target: Path, locate: Locate) -> PremisCounts:
    """Write all that is known of these results.

    Args:
        ids: in the order of `exporting.selected`; gone through twice.
        locate: where a file that lay at an absolute path lies now.
    """
    objects = ProvenanceObjects(database, ids, locate)
    events = ProvenanceEvents(database, ids, objects.references)
    # agents and rights fill up while objects and events are written
    return write_premis(target, objects, events, events.agents.values(), objects.rights)


def nothing_done(output_root: str, run_id: int | None) -> UsageError:
    """There is nothing to export."""
    of_run = f" by run {run_id}" if run_id is not None else ""
    return UsageError(
        f"nothing that counts was colorized{of_run} into {output_root}; `archive-colorizer audit runs` lists the runs, "
        "--output names another folder"
    )
