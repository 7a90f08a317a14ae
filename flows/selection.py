"""Finished items of an output folder, found by what people call them."""

import random
from itertools import groupby
from pathlib import Path

from flows.errors import UsageError
from storage.database import Database, colorizations, runs
from storage.database.records import RunColorization
from storage.paths import path_to_text


def output_root(database: Database, output: Path | None) -> str:
    """The output folder as the database has it: the one that was named, else that of the last run.

    Raises:
        UsageError: the database has no run.
    """
    if output is not None:
        return path_to_text(output.resolve())
    last = runs.latest(database)
    if last is None:
        raise UsageError("the database has no run on record")
    return last.output_root


def find_done(database: Database, output: Path | None, item: str) -> list[RunColorization]:
    """What counts for a finished item: one row, or one for each page of a document that has colours.

    Args:
        item: its path in the archive as the audit has it, or its number.

    Raises:
        UsageError: there is no such item, or it is not done.
    """
    root = output_root(database, output)
    found = colorizations.find(database, root, item)
    if found and found[0].kind == "page" and item.isdecimal():  # the number of one page; its document is made whole
        found = colorizations.find(database, root, found[0].path)
    done = [row for row in found if row.state == "done"]
    if not found:
        raise UsageError(f"there is no item {item} on record for {root}; `archive-colorizer audit items` lists them")
    if not done:
        raise UsageError(f"{item} has no copy: {found[0].message or found[0].state}")
    return done


def sample_done(database: Database, output: Path | None, size: int) -> list[list[RunColorization]]:
    """Finished items taken at random, each as `find_done` gives it; all where there are not more."""
    root = output_root(database, output)
    paths = sorted(set(colorizations.done_paths(database, root)))
    taken = sorted(random.SystemRandom().sample(paths, min(size, len(paths))))
    rows = colorizations.done_at(database, root, taken)
    return [list(group) for _, group in groupby(rows, key=lambda row: (row.archive, row.path))]
