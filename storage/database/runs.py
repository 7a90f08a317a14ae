"""Runs: when a pass over an archive began and ended, with what, and how it came out."""

import os
import socket
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.orm import Session

from storage.database import events
from storage.database.connection import Database
from storage.database.models import Colorization, Run, StageTiming
from storage.database.records import RunCounts, RunRecord, RunState, StoredRun
from storage.database.records import StageTiming as TimingRecord
from storage.database.types import now


def start(db: Database, record: RunRecord) -> int:
    """Record that a run has begun; its id."""
    row: dict[str, Any] = {
        "flow_run_id": record.flow_run_id,
        "started_at": record.started_at or now(),
        "state": "running",
        "archive": record.archive,
        "output_root": record.output_root,
        "references_root": record.references_root,
        "code_version": record.code_version,
        "weights_sha256": record.weights_sha256,
        "index_version": record.index_version,
        "device": record.device,
        "precision": record.precision,
        "hostname": record.hostname or socket.gethostname(),
        "pid": os.getpid() if record.pid is None else record.pid,
        "library_versions": dict(record.library_versions),
        "parameters": dict(record.parameters),
    }
    identity = ("started_at", "hostname", "pid", "output_root")

    def work(session: Session) -> int:
        # If the connection broke during an earlier attempt's commit, the row may be there.
        found = session.scalar(sa.select(Run.id).where(*(getattr(Run, name) == row[name] for name in identity)))
        if found is not None:
            return found
        run_id = session.scalars(sa.insert(Run).returning(Run.id), row).one()
        events.append(session, events.RUN_STARTED, agent=events.agent(), run_id=run_id)
        return run_id

    return db.run_write(work)


def set_flow_run_id(db: Database, run_id: int, flow_run_id: str) -> None:
    """Record which Prefect flow run does a run that has begun already."""
    _update(db, run_id, flow_run_id=flow_run_id)


def set_planned(db: Database, run_id: int, *, items: int, skipped: int) -> None:
    """Record how many items the run found, and how many need nothing and get no outcome of their own.

    Before the first batch: `colorizations.record` lets the counts grow from here.
    """
    _update(db, run_id, items=items, skipped=skipped)


def set_index_version(db: Database, run_id: int, index_version: str) -> None:
    """Record the version of the reference index, which is known only after the run has begun."""
    _update(db, run_id, index_version=index_version)


def finish(db: Database, run_id: int, state: RunState, message: str | None = None) -> None:
    """Record the end of a run and its outcome; its counts have grown with every batch that was recorded."""

    def work(session: Session) -> None:
        started = session.scalars(sa.select(Run.started_at).where(Run.id == run_id)).one()
        values = _ended(started, now()) | {"state": state, "message": message}
        session.execute(sa.update(Run).where(Run.id == run_id).values(values))
        _seal_end(session, run_id, state, message)

    db.run_write(work)


def abandon_dead(db: Database, output_root: str) -> int:
    """Mark the runs into this folder that still count as running as crashed; how many there were.

    The caller holds the lock on the folder, so that no such run can be alive. The end is the last sign of
    life, the counts are those of the recorded items.
    """

    def work(session: Session) -> int:
        runs = session.scalars(
            sa.select(Run).where(Run.output_root == output_root, Run.state == "running").with_for_update()
        ).all()
        for run in runs:
            ended, rows = _last_sign_and_counts(session, run.id)
            for name, value in _ended(run.started_at, max(ended or run.started_at, run.started_at)).items():
                setattr(run, name, value)
            run.done, run.failed = rows.done, rows.failed
            run.skipped = max(run.skipped, rows.skipped)
            run.items = max(run.items, run.done + run.failed + run.skipped)
            run.state = "crashed"
            run.message = f"the process {run.pid} on {run.hostname} stopped without finishing the run"
            session.flush()
            _seal_end(session, run.id, run.state, run.message)
        return len(runs)

    return db.run_write(work)


def record_timings(db: Database, run_id: int, timings: list[TimingRecord]) -> None:
    """Record stages of the run as a whole (not of one item), in place of what was there for these stages."""
    rows = [{"run_id": run_id, "stage": t.stage, "seconds": t.seconds, "items": t.items} for t in timings]

    def work(session: Session) -> None:
        session.execute(
            sa.delete(StageTiming).where(
                StageTiming.run_id == run_id,
                StageTiming.colorization_id.is_(None),
                StageTiming.stage.in_({timing.stage for timing in timings}),
            )
        )
        session.execute(sa.insert(StageTiming), rows)

    if rows:
        db.run_write(work)


def get(db: Database, run_id: int) -> StoredRun | None:
    """The run, or None if there is none with this id."""
    return _first(db, sa.select(Run).where(Run.id == run_id))


def latest(db: Database, output_root: str | None = None) -> StoredRun | None:
    """The run that began last (into this output folder), or None."""
    query = sa.select(Run).order_by(Run.id.desc()).limit(1)
    return _first(db, query if output_root is None else query.where(Run.output_root == output_root))


def _seal_end(session: Session, run_id: int, state: str, message: str | None) -> None:
    events.append(
        session,
        events.RUN_ENDED,
        agent=events.agent(),
        outcome=state,
        run_id=run_id,
        message=message,
        sealed={"run": [run_id]},
    )


def _update(db: Database, run_id: int, **values: object) -> None:
    db.run_write(lambda session: session.execute(sa.update(Run).where(Run.id == run_id).values(**values)) and None)


def _ended(started: datetime, ended: datetime) -> dict[str, Any]:
    return {"ended_at": ended, "seconds": (ended - started).total_seconds()}


def _last_sign_and_counts(session: Session, run_id: int) -> tuple[datetime | None, RunCounts]:
    query = (
        sa.select(Colorization.state, sa.func.count(), sa.func.max(Colorization.created_at))
        .where(Colorization.run_id == run_id)
        .group_by(Colorization.state)
    )
    rows = session.execute(query).all()
    counts = {state: count for state, count, _ in rows}
    last = max((at for _, _, at in rows), default=None)
    return last, RunCounts(sum(counts.values()), *(counts.get(s, 0) for s in ("done", "failed", "skipped")))


def _first(db: Database, query: sa.Select[tuple[Run]]) -> StoredRun | None:
    run = db.run_read(lambda session: session.scalars(query).first())
    return None if run is None else _stored(run)


def _stored(run: Run) -> StoredRun:
    return StoredRun(
        id=run.id,
        flow_run_id=run.flow_run_id,
        started_at=run.started_at,
        ended_at=run.ended_at,
        seconds=run.seconds,
        state=cast(RunState, run.state),
        archive=run.archive,
        output_root=run.output_root,
        references_root=run.references_root,
        counts=RunCounts(run.items, run.done, run.failed, run.skipped),
        code_version=run.code_version,
        weights_sha256=run.weights_sha256,
        index_version=run.index_version,
        device=run.device,
        precision=run.precision,
        hostname=run.hostname,
        pid=run.pid,
        library_versions=run.library_versions,
        parameters=run.parameters,
        message=run.message,
    )
