"""A dry run: what a run would do."""

from contextlib import nullcontext
from functools import partial

from flows.engine import Engine
from flows.film.given import GivenReferences
from flows.ingest import ingest_archive
from flows.pins import Pins
from flows.planning import describe_plan, make_plan, output_is_there
from flows.progress import Progress
from flows.requests import requests_of
from flows.settings import RunSettings, sqlite_path
from flows.summary import FailedItem, RunSummary
from storage.database import colorizations, open_database
from storage.decoding import Decoder
from storage.paths import path_to_text


def dry_run(settings: RunSettings, progress: Progress) -> RunSummary:
    """Say what a run would do, and change nothing: no folder, no database, no row."""
    database_file = sqlite_path(settings.database_url)
    there = database_file is None or database_file.exists()
    existing = open_database(settings.database_url, create=False) if there else nullcontext()
    with existing as database, Decoder() as decoder:
        pins = Pins.read(settings, database)
        found = ingest_archive(
            database, decoder, settings.archive, settings.output, record=False, sequences=settings.sequences
        )
        pins.check({item.path: item.record.kind for item in found.items})
        output_root, archive = path_to_text(settings.output), path_to_text(settings.archive)
        current = colorizations.current(database, output_root, archive) if database is not None else {}
        engine = Engine.load(settings)
        plan = make_plan(
            found.items,
            current,
            requests_of(settings, engine.colorizer, GivenReferences.read(settings.reference), engine.where),
            retry_failed=settings.retry_failed,
            colorize_all=settings.colorize_all,
            output_is_there=partial(output_is_there, settings.output),
            pinned=pins.state,
        )
    progress.say(describe_plan(plan, found.summary))
    failures = [FailedItem(item.path, item.stage, item.message) for item in (*plan.standing, *plan.refused)]
    return RunSummary(
        items=plan.items,
        left_out=plan.skipped,
        finished_before=len(plan.finished),
        pending=len(plan.pending),
        failures=tuple(sorted(failures, key=lambda failure: failure.path)),
        dry_run=True,
    )
