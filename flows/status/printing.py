"""The standing of the runs in words, and as one JSON object."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from flows.status.prefect import Deployment, Schedules
from flows.status.standing import RunStanding, Standing

_COUNTED = 1000  # storage.database.standing counts no further


def in_words(standing: Standing, schedules: Schedules) -> Iterator[str]:
    """Lines for people."""
    if not standing.running:
        yield "running: nothing"
    for one in standing.running:
        yield from _running(one)
    if standing.last is not None:
        yield from _ended(standing.last)
    elif not standing.running:
        yield "last run: none yet"
    yield from _schedules(schedules)


def as_json(standing: Standing, schedules: Schedules) -> str:
    """The same as one JSON object; times in ISO 8601, UTC."""
    document = {
        "ok": not standing.is_bad,
        "running": [_object(one) for one in standing.running],
        "last": None if standing.last is None else _object(standing.last),
        "prefect": asdict(schedules),
    }
    return json.dumps(document, indent=2, default=_plain)


def _running(one: RunStanding) -> Iterator[str]:
    run = one.run
    where = f"process {run.pid} on {run.hostname}"
    if one.is_alive is False:
        yield f"run {run.id}: {where} stopped without finishing; the next run goes on from there"
    else:
        unknown = "" if one.is_alive else " (whether it lives shows only there)"
        yield f"running: run {run.id} since {_time(run.started_at)}, {where}{unknown}"
    yield f"  {run.archive} -> {run.output_root}"
    counts = run.counts
    through = counts.done + counts.failed + counts.skipped
    line = f"  {through} of {counts.items} items: {_counts(one)}"
    if one.per_second is not None:
        line += f"; {one.per_second * 60:.1f} a minute"
    if one.seconds_left is not None:
        line += f", {_duration(one.seconds_left)} left"
    yield line
    if one.last_sign is not None:
        yield f"  latest item at {_time(one.last_sign)}"
    yield from _failures(one)


def _ended(one: RunStanding) -> Iterator[str]:
    run = one.run
    took = "" if run.seconds is None else f" after {_duration(run.seconds)}"
    ended = "" if run.ended_at is None else f" at {_time(run.ended_at)}"
    yield f"last run: run {run.id} {run.state.replace('_', ' ')}{ended}{took}"
    yield f"  {run.archive} -> {run.output_root}"
    yield f"  {run.counts.items} items: {_counts(one)}"
    if run.message:
        yield f"  {_line(run.message)}"
    yield from _failures(one)
    if one.unreviewed:
        flagged = f", {_many(one.low_matches)} of them with a reference that may not fit" if one.low_matches else ""
        yield f"  not reviewed: {_many(one.unreviewed)}{flagged}"


def _failures(one: RunStanding) -> Iterator[str]:
    if one.failures:
        yield "  failed: " + ", ".join(f"{kind.count} {kind.error_type}" for kind in one.failures)
    for failure in one.newest_failures:
        page = f" (page {failure.page})" if failure.page > 1 else ""
        yield f"    {_line(failure.path)}{page}: {_line(failure.message)}"
    rest = sum(kind.count for kind in one.failures) - len(one.newest_failures)
    if rest > 0:
        yield f"    and {rest} more; `archive-colorizer audit failures --run {one.run.id}` lists them"


def _schedules(schedules: Schedules) -> Iterator[str]:
    if schedules.url is None:
        yield "schedule: no Prefect server is known here (PREFECT_API_URL, or a `serve` of this user)"
    elif schedules.problem is not None:
        yield f"schedule: {schedules.url}: {schedules.problem}"
    elif not schedules.deployments:
        yield f"schedule: {schedules.url} has none of ours"
    for deployment in schedules.deployments:
        yield from _deployment(deployment)


def _deployment(one: Deployment) -> Iterator[str]:
    if one.is_paused:
        yield f"schedule {one.name}: paused"
    elif one.next_runs:
        yield f"schedule {one.name}: next at {', '.join(map(_time, one.next_runs))}"
    else:
        yield f"schedule {one.name}: nothing is planned"
    if one.late:
        yield f"  late: {one.late} should have begun; see whether the worker or `serve` is up"
    if one.pool is not None:
        yield f"  pool {one.pool}: {(one.pool_status or 'unknown').lower()}, workers online: {one.workers}"
    elif one.status not in (None, "READY"):
        yield f"  {str(one.status).lower().replace('_', ' ')}: nobody takes its runs up; see whether `serve` is up"
    if one.last_state is not None:
        yield f"  last: {one.last_state}" + ("" if one.last_end is None else f" at {_time(one.last_end)}")


def _object(one: RunStanding) -> dict[str, Any]:
    run = one.run
    return {
        "run": run.id,
        "state": one.state,
        "flow_run": run.flow_run_id,
        "archive": run.archive,
        "output": run.output_root,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "seconds": run.seconds,
        "hostname": run.hostname,
        "pid": run.pid,
        "is_alive": one.is_alive,
        "items": asdict(run.counts),
        "last_sign": one.last_sign,
        "per_second": one.per_second,
        "seconds_left": one.seconds_left,
        "failures": {kind.error_type: kind.count for kind in one.failures},
        "newest_failures": [asdict(failure) for failure in one.newest_failures],
        "unreviewed": one.unreviewed,
        "unreviewed_low_matches": one.low_matches,
        "message": run.message,
    }


def _counts(one: RunStanding) -> str:
    counts: Mapping[str, int] = asdict(one.run.counts)
    return ", ".join(f"{counts[name]} {name}" for name in ("done", "failed", "skipped"))


def _many(count: int) -> str:
    return f"{count} or more" if count >= _COUNTED else str(count)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _time(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S %z")


def _line(text: str) -> str:
    """What cannot be shown in a line (line ends, signs that steer a terminal) becomes a space."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
