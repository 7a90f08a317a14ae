"""What was made, for viewers of the web: IIIF manifests with the scans and the coloured pictures as JPEG."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from flows.errors import UsageError
from flows.exports.iiif_work import ExportedWork, WorkExporter, folder_name
from flows.exports.places import check_apart
from flows.exports.premis import nothing_done
from flows.exports.report import ExportReport, failures, record_export
from flows.exports.works import Work, works
from storage.database import Database, exporting
from storage.database.statements import chunks
from storage.decoding import Decoder
from storage.exports.iiif import Entry, JsonObject, collection
from storage.fixity import PARTIAL_SUFFIX, sha256_file
from storage.paths import path_to_text

COLLECTION = "collection.json"
_PROCESSES = min(4, os.cpu_count() or 1)
_WAITING = 4 * _PROCESSES  # works that are read from the database ahead of the pictures


def export_iiif(
    database: Database,
    output_root: str,
    target: Path,
    base_url: str,
    run_id: int | None = None,
    label: str | None = None,
) -> ExportReport:
    """Write what counts in an output folder (of one run) as IIIF Presentation 3.0 into the new folder `target`.

    Each photograph and each document has a manifest, each folder of the archive a collection of these, and
    `collection.json` is over all. What a person rejected is shown as scan only; films are left out. `target` appears
    when it is whole.

    Args:
        output_root: as the database has it.
        base_url: the address at which `target` will be served.
        label: of the whole; without it the name of the archive's folder.

    Raises:
        UsageError: there is nothing to show, the address is none, or `target` is there already or lies in the archive
            or the output folder.
    """
    address = _checked_address(base_url)
    ids = exporting.selected(database, exporting.Selection(output_root=output_root, run_id=run_id))
    if not ids:
        raise nothing_done(output_root, run_id)
    check_apart(database, target, output_root)
    with _new_folder(target) as folder:
        found = _write_works(database, works(exporting.in_full(database, ids)), folder, address)
        shown = [one for one in found if one.entry is not None]
        for path, content in _collections(address, label, shown):
            _write_json(folder / path, content)
    report = _report(target, found)
    digest = sha256_file(target / COLLECTION)
    record_export(database, f"IIIF collection for {address}, SHA-256 of {COLLECTION} {digest}", run_id, report)
    return report


def _write_works(database: Database, found: Iterable[Work], folder: Path, address: str) -> list[ExportedWork]:
    """Write the pictures and manifests of all works, several at a time, in their order."""
    done: list[ExportedWork] = []
    with Decoder(processes=_PROCESSES) as decoder, ThreadPoolExecutor(_PROCESSES) as pool:
        exporter = WorkExporter(database, decoder, folder, address)
        for works_at_once in chunks(found, _WAITING):
            done += pool.map(exporter.write, works_at_once)
    return done


def _collections(address: str, label: str | None, shown: list[ExportedWork]) -> Iterator[tuple[str, JsonObject]]:
    """Where each collection lies, with its content; one for each folder, unless there is only one folder."""
    archives = sorted({one.archive for one in shown})
    title = label or " / ".join(PurePosixPath(archive).name for archive in archives) or "Archive"
    by_folder = [
        (key, [one.entry for one in group if one.entry is not None])
        for key, group in groupby(sorted(shown, key=_folder_of), key=_folder_of)
    ]
    if len(by_folder) <= 1:
        yield (
            COLLECTION,
            collection(address, COLLECTION, title, [entry for _, entries in by_folder for entry in entries]),
        )
        return
    top = []
    for (archive, folder), entries in by_folder:
        path = f"collections/{folder_name(archive, folder)}.json"
        name = folder if folder != "." else title
        yield path, collection(address, path, name, entries)
        top.append(Entry("Collection", path, name, entries[0].thumbnail))
    yield COLLECTION, collection(address, COLLECTION, title, top)


def _folder_of(work: ExportedWork) -> tuple[str, str]:
    return work.archive, str(PurePosixPath(work.path).parent)


def _report(target: Path, found: list[ExportedWork]) -> ExportReport:
    rejected = sum(one.rejected for one in found)
    films = sum(one.is_film for one in found)
    canvases = sum(one.canvases for one in found)
    notes = [f"{canvases} pictures in {sum(one.entry is not None for one in found)} manifests"]
    if rejected:
        notes.append(f"{rejected} are shown as scan only, as their results are rejected")
    if films:
        notes.append(f"{films} films were left out: this export shows pictures")
    return ExportReport(
        files=(target / COLLECTION,),
        written=sum(1 for path in target.rglob("*") if path.is_file()),
        objects=canvases,
        notes=tuple(notes),
        failures=failures(one for work in found for one in work.failed),
    )


def _checked_address(base_url: str) -> str:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"{base_url!r} is no address to serve pictures at; give one like https://example.org/colorized"
        )
    return base_url.rstrip("/")


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """A folder beside `target` to write in, which takes its name at the end; nothing is left of it after an error."""
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError(f"{path_to_text(target)} is there already; name a new folder, or an empty one")
    folder = target.absolute().parent / f".{target.absolute().name}{PARTIAL_SUFFIX}"
    shutil.rmtree(folder, ignore_errors=True)  # of an export that was killed
    folder.mkdir(parents=True)
    try:
        yield folder
        folder.rename(target)  # also over an empty folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_json(path: Path, content: JsonObject) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
