"""The gallery of an earlier run, with thumbnails made again from the files where they are missing."""

from collections.abc import Sequence
from pathlib import Path

from flows.errors import UsageError
from flows.report.evidence import read_evidence
from flows.report.film_thumbnails import write_shot_thumbnails
from flows.report.gallery import gallery_folder, write_gallery
from flows.report.thumbnails import ThumbnailFolder, write_thumbnail
from storage.database import Database, colorizations, runs
from storage.database.records import RecordedShot, RunColorization
from storage.decoding import Decoder
from storage.errors import StorageError
from storage.paths import text_to_path


def rebuild_gallery(database: Database, run_id: int) -> tuple[Path, list[str]]:
    """Write the gallery of a run again.

    Returns its first page, and one line for every picture that could not be shown any more.

    Raises:
        UsageError: there is no such run.
    """
    run = runs.get(database, run_id)
    if run is None:
        raise UsageError(f"there is no run {run_id} in this database; `archive-colorizer audit runs` lists them")
    rows = colorizations.of_run(database, run_id)
    output = text_to_path(run.output_root)
    with Decoder() as decoder:
        missing = _make_thumbnails(rows, ThumbnailFolder(gallery_folder(output, run_id)), decoder)
    return write_gallery(run, rows, output, read_evidence(database, run_id)), missing


def _make_thumbnails(rows: Sequence[RunColorization], thumbnails: ThumbnailFolder, decoder: Decoder) -> list[str]:
    missing: list[str] = []
    for row in rows:
        if row.state != "done" or row.output_path is None:
            continue
        output = text_to_path(row.output_root) / text_to_path(row.output_path)
        wanted = _references(row, thumbnails)
        if row.shots:
            missing += _shots(row, output, thumbnails)
        else:
            wanted.append((thumbnails.grey(row.item_id), text_to_path(row.archive) / text_to_path(row.path), row.page))
            wanted.append((thumbnails.colour(row.item_id), output, row.page))
        for thumbnail, file, page in wanted:
            if thumbnail.exists():
                continue
            try:
                write_thumbnail(thumbnail, decoder.read(file, page=page).preview)
            except (StorageError, OSError) as error:
                missing.append(f"{file}: {error}")
    return missing


def _references(row: RunColorization, thumbnails: ThumbnailFolder) -> list[tuple[Path, Path, int]]:
    used: list[RunColorization | RecordedShot] = [row, *row.shots]
    return [
        (
            thumbnails.reference(one.reference_id),
            text_to_path(one.reference_library) / text_to_path(one.reference_path),
            1,
        )
        for one in used
        if one.reference_id is not None and one.reference_library and one.reference_path
    ]


def _shots(row: RunColorization, output: Path, thumbnails: ThumbnailFolder) -> list[str]:
    shown = {
        shot.shown_frame: shot.number
        for shot in row.shots
        if shot.shown_frame is not None and not thumbnails.colour(row.item_id, shot.number).exists()
    }
    if not shown:
        return []
    try:
        write_shot_thumbnails(output, shown, thumbnails, row.item_id)
    except (StorageError, OSError) as error:
        return [f"{output}: {error}"]
    return []
