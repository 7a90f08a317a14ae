"""The audit views, read for the command line; outside programs read them by plain SQL."""

from typing import Any

import sqlalchemy as sa

from storage.database.connection import Database
from storage.database.models import Colorization, Reference, Shot
from storage.database.types import JsonObject, UtcDateTime


def _view(name: str, columns: str, **types: Any) -> sa.TableClause:
    return sa.table(name, *(sa.column(column, types.get(column)) for column in columns.split()))


_TIME: Any = UtcDateTime()
_FLAG: Any = sa.Boolean()
_VIEWS = {
    "audit_run": _view(
        "audit_run",
        "run_id flow_run_id started_at ended_at state items done failed skipped seconds code_version"
        " weights_sha256 parameters",
        started_at=_TIME,
        ended_at=_TIME,
        parameters=JsonObject,
    ),
    "audit_item": _view(
        "audit_item",
        "run_id path kind page state reference_path reference_score reference_rank confidence output_path"
        " source_sha256 output_sha256 reference_sha256 weights_sha256 index_version device seconds review"
        " created_at match_confidence low_match reference_choice item_id colorization_id archive output_root"
        " superseded_at reference_id",
        created_at=_TIME,
        superseded_at=_TIME,
        low_match=_FLAG,
    ),
    "audit_output": _view(
        "audit_output",
        "colorization_id run_id item_id archive path kind page output_root output_path output_format output_sha256"
        " output_bytes source_sha256 reference_id reference_path reference_sha256 reference_score reference_rank"
        " reference_choice match_confidence index_version weights_sha256 code_version parameters network_size device"
        " precision library_versions started_at ended_at seconds peak_memory_bytes confidence review superseded_at"
        " kept_path",
        parameters=JsonObject,
        library_versions=JsonObject,
        started_at=_TIME,
        ended_at=_TIME,
        superseded_at=_TIME,
    ),
    "audit_stage": _view("audit_stage", "run_id colorization_id path page stage seconds"),
    "audit_review": _view(
        "audit_review",
        "review_id colorization_id run_id path page decision reason reviewer at other_reference_path shot",
        at=_TIME,
    ),
    "audit_event": _view("audit_event", "event_id at type outcome agent run_id path page message sha256", at=_TIME),
    "audit_fixity": _view(
        "audit_fixity", "what path finding expected_sha256 found_sha256 checked_at", checked_at=_TIME
    ),
    "audit_shot": _view(
        "audit_shot",
        "run_id path shot first_frame last_frame frames cut_score reference_path reference_sha256 reference_score"
        " reference_rank reference_choice confidence flicker fps seconds seconds_read seconds_network seconds_motion"
        " seconds_chroma seconds_write output_path match_confidence low_match",
        low_match=_FLAG,
    ),
    "audit_failure": _view("audit_failure", "run_id path stage error_type message at", at=_TIME),
    "audit_reference": _view(
        "audit_reference",
        "reference_id path sha256 times_used mean_score mean_confidence caption rights creator created",
    ),
    "audit_runtime": _view("audit_runtime", "run_id stage items seconds_total seconds_median seconds_p95"),
}
# Newest runs first; within one, as a person looks for things.
_ORDER = {
    "audit_run": ("-run_id",),
    "audit_item": ("-run_id", "path", "page"),
    "audit_shot": ("-run_id", "path", "shot"),
    "audit_failure": ("-run_id", "path", "at"),
    "audit_reference": ("-times_used", "path", "reference_id"),
    "audit_runtime": ("-run_id", "-seconds_total", "stage"),
    "audit_output": ("-run_id", "path", "page", "output_path"),
    "audit_stage": ("-run_id", "path", "page", "-seconds"),
    "audit_review": ("-review_id",),
    "audit_event": ("-event_id",),
    "audit_fixity": ("path", "what"),
}

VIEWS = tuple(_VIEWS)


def columns(view: str) -> list[str]:
    """The columns of a view, in their promised order.

    Raises:
        ValueError: there is no such view.
    """
    return [column.name for column in _table(view).columns]


def rows(db: Database, view: str, run_id: int | None = None, limit: int | None = None) -> list[dict[str, object]]:
    """The rows of a view (of one run), ordered for reading; times are aware UTC datetimes.

    `audit_reference` has no run in it: with `run_id` its figures are those of this run for what it used.

    Raises:
        ValueError: there is no such view.
    """
    table: sa.FromClause = _table(view)
    if run_id is not None and "run_id" not in table.columns:
        table = _references_of_run(run_id)
    query = sa.select(table)
    if "run_id" in table.columns and run_id is not None:
        query = query.where(table.columns["run_id"] == run_id)
    for name in _ORDER[view]:
        column = table.columns[name.removeprefix("-")]
        query = query.order_by(column.desc() if name.startswith("-") else column)
    query = query.limit(limit)
    return db.run_read(lambda session: [dict(row) for row in session.execute(query).mappings()])


def _table(view: str) -> sa.TableClause:
    if view not in _VIEWS:
        raise ValueError(f"there is no audit view '{view}'; there are {', '.join(_VIEWS)}")
    return _VIEWS[view]


def _references_of_run(run_id: int) -> sa.Subquery:
    """`audit_reference` as one run sees it."""
    done = (Colorization.run_id == run_id, Colorization.state == "done")
    by_pictures = sa.select(
        Colorization.reference_id, Colorization.reference_score.label("score"), Colorization.confidence
    ).where(*done, ~sa.exists().where(Shot.colorization_id == Colorization.id))
    by_films = (
        sa.select(Shot.reference_id, sa.func.avg(Shot.reference_score), sa.func.avg(Shot.confidence))
        .join(Colorization, Colorization.id == Shot.colorization_id)
        .where(*done)
        .group_by(Shot.colorization_id, Shot.reference_id)
    )
    uses = sa.union_all(by_pictures, by_films).subquery()
    return (
        sa.select(
            Reference.id.label("reference_id"),
            Reference.path,
            Reference.sha256,
            sa.func.count().label("times_used"),
            sa.func.avg(uses.c.score).label("mean_score"),
            sa.func.avg(uses.c.confidence).label("mean_confidence"),
            Reference.caption,
            Reference.rights,
            Reference.creator,
            Reference.created,
        )
        .join(uses, uses.c.reference_id == Reference.id)
        .group_by(Reference.id)  # the primary key: the other columns depend on it
        .subquery()
    )
