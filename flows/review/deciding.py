"""Decisions of people: on which results, by whom, and which reference is meant."""

import getpass
import os
from collections.abc import Sequence
from pathlib import Path

from flows.errors import UsageError
from storage.database import Database, colorizations, references, reviews, runs
from storage.database.records import Candidate, ReviewDecision, RunColorization
from storage.paths import path_to_text, text_to_path

REVIEWER_VARIABLE = "ARCHIVE_COLORIZER_REVIEWER"
_LONGEST_NUMBER = 18
"""Digits; what has more is no number of a row in any database."""


def reviewer_name(given: str | None) -> str:
    """Who decides: as given, else as the environment says, else the name of the login.

    Raises:
        UsageError: nobody can be made out.
    """
    name = " ".join((given or os.environ.get(REVIEWER_VARIABLE) or "").split())
    if name:
        return name
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise UsageError(
            f"it cannot be made out who reviews; give a name with --reviewer or in {REVIEWER_VARIABLE}"
        ) from None


def reviewed_output(database: Database, output: Path | None, run_id: int | None = None) -> str:
    """The output folder whose results are reviewed, as it is on record.

    Args:
        output: as named by the user; without one it is the folder of the run, or of the latest run.

    Raises:
        UsageError: no such run, or no run has written into this folder.
    """
    run = runs.latest(database) if run_id is None else runs.get(database, run_id)
    if run is None and run_id is not None:
        raise UsageError(f"there is no run {run_id} in this database; `archive-colorizer audit runs` lists them")
    if run is None:
        raise UsageError("there is no run in this database, and so nothing to review")
    if output is None or run_id is not None:
        return run.output_root
    text = path_to_text(output.resolve())
    if runs.latest(database, text) is None:
        raise UsageError(
            f"{text}: no run in this database wrote into this folder; the latest one wrote into {run.output_root}, "
            "name that with --output"
        )
    return text


def name_of(row: RunColorization) -> str:
    """The item, for people."""
    return f"{row.path}, page {row.page}" if row.kind == "page" else row.path


def find_done(database: Database, output_root: str, item: str, page: int | None = None) -> list[RunColorization]:
    """The results that count for an item, named by its path in the archive or its number; all pages of a document.

    Raises:
        UsageError: there is none, or nothing of it is done, or several archives have such a path.
    """
    if item.isdecimal() and len(item) > _LONGEST_NUMBER:
        found = []
    else:
        found = colorizations.find(database, output_root, item, page)
    if not found:
        what = item if page is None else f"{item}, page {page}"
        raise UsageError(f"{what}: no such item has a result in {output_root}; `review list` names what there is")
    if len({row.archive for row in found}) > 1:
        numbers = ", ".join(f"{row.item_id} in {row.archive}" for row in found[:10])
        raise UsageError(f"{item} is in several archives; name it by its number: {numbers}")
    done = [row for row in found if row.state == "done"]
    if not done:
        row = found[0]
        why = f": {row.message}" if row.message else ""
        raise UsageError(f"{name_of(row)} was not colorized ({row.state}{why}), so there is nothing to decide on")
    return done


def find_one(database: Database, output_root: str, item: str, page: int | None = None) -> RunColorization:
    """As `find_done`, but of a document a page must be named.

    Raises:
        UsageError: as there, or it has several pages.
    """
    done = find_done(database, output_root, item, page)
    if len(done) > 1:
        pages = ", ".join(str(row.page) for row in done[:10]) + (", ..." if len(done) > 10 else "")
        raise UsageError(f"{item} has several pages ({pages}); say which one with --page")
    return done[0]


def decide(
    database: Database,
    rows: Sequence[RunColorization],
    decision: ReviewDecision,
    *,
    reviewer: str,
    reason: str | None = None,
) -> None:
    """Record that these results are approved or rejected.

    Raises:
        UsageError: something is rejected without a reason.
    """
    reason = (reason or "").strip() or None
    if decision == "rejected" and reason is None:
        raise UsageError("say why it is rejected: those who look at it later need the reason")
    for row in rows:
        reviews.decide(database, row.id, decision, reviewer=reviewer, reason=reason)


def candidates_for(row: RunColorization, shot: int | None = None) -> list[Candidate]:
    """The candidates of a picture, or of one shot of a film, the best first."""
    return [candidate for candidate in row.candidates if candidate.shot == (shot or 0)]


def find_reference(database: Database, row: RunColorization, text: str, shot: int | None = None) -> int:
    """The id of the reference that a person names: `#2` (a candidate by its rank), a path, or an id.

    A path is that of a candidate in its library, or that of any reference's file.

    Raises:
        UsageError: there is no such reference, or of a film it is not clear for which shot.
    """
    if row.shots and shot is not None and shot not in {one.number for one in row.shots}:
        raise UsageError(f"{row.path} has no shot {shot}; it has {len(row.shots)}")
    if not row.shots and shot is not None:
        raise UsageError(f"{name_of(row)} is no film; --shot is for films")
    fitting = [one for one in row.candidates if shot is None or one.shot == shot]
    if text.startswith("#"):
        return _by_rank(row, fitting, text)
    found = {one.reference_id for one in fitting if text in (one.path, _file(one.library, one.path))}
    if len(found) > 1:
        raise UsageError(f"{text} is the path of several candidates; name one by its id: {_listed(sorted(found))}")
    if found:
        return found.pop()
    return _by_id_or_file(database, row, text)


def _by_rank(row: RunColorization, candidates: Sequence[Candidate], text: str) -> int:
    rank = text[1:]
    found = {one.reference_id for one in candidates if str(one.rank) == rank}
    if len(found) > 1:
        raise UsageError(f"{row.path} has a candidate {text} for each of its shots; say which one with --shot")
    if not found:
        ranks = sorted({one.rank for one in candidates})
        there = f"there are #{ranks[0]} to #{ranks[-1]}" if ranks else "it has no candidates on record"
        raise UsageError(f"{name_of(row)} has no candidate {text}; {there}")
    return found.pop()


def _by_id_or_file(database: Database, row: RunColorization, text: str) -> int:
    if text.isdecimal() and len(text) <= _LONGEST_NUMBER:
        reference = references.get(database, [int(text)]).get(int(text))
        if reference is not None:
            return int(text)
    run = runs.get(database, row.run_id)
    libraries = {candidate.library for candidate in row.candidates}
    if run is not None:
        libraries.add(run.references_root)
    for library in sorted(libraries):
        for path in _below(text, library):
            reference = references.at_paths(database, library, [path]).get(path)
            if reference is not None:
                return reference.id
    raise UsageError(
        f"{text} is no reference on record; give a candidate's rank (#2), a path in the library, or an id as "
        "`archive-colorizer references list` shows it"
    )


def _below(text: str, library: str) -> list[str]:
    """What the path could be called in a library."""
    found = [text]
    try:
        file = text_to_path(text)
    except ValueError:  # as it lies on disk, not as it is on record
        file = Path(text)
    folder = text_to_path(library)
    if file.is_absolute() and file.is_relative_to(folder):
        found.append(path_to_text(file.relative_to(folder)))
    return found


def _file(library: str, path: str) -> str:
    return path_to_text(text_to_path(library) / text_to_path(path))


def _listed(ids: Sequence[int]) -> str:
    return ", ".join(map(str, ids))
