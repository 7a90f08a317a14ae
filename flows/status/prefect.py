"""What a Prefect server has planned for us, asked over its HTTP API: importing Prefect would take seconds.

https://docs.prefect.io/v3/api-ref/rest-api: `deployments/filter`, `flow_runs/filter`, `work_pools/NAME/workers/filter`.
"""

import base64
import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.orchestration.server import ANNOUNCEMENT, LOOPBACK, prefect_home

FLOW_NAMES = ("colorize-archive", "verify-fixity", "index-references")
LIMIT_SECONDS = 5.0

_MOST = 200  # what the API gives at once
_MOST_BYTES = 50_000_000
_ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A schedule of ours on the server.

    `status` is READY where somebody takes its runs up; `pool` and `workers` (their number online) are None for the
    schedules of `serve`, which does its runs itself. `late` counts the runs that should have begun and have not.
    """

    name: str
    status: str | None
    is_paused: bool
    pool: str | None
    pool_status: str | None
    workers: int | None
    next_runs: tuple[datetime, ...]
    late: int
    last_state: str | None
    last_end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedules:
    """What the server says; `problem` is why it says nothing. Without a `url` there is no server."""

    url: str | None = None
    problem: str | None = None
    deployments: tuple[Deployment, ...] = ()


class _NoAnswer(Exception):  # noqa: N818 - never leaves this file
    """One line on why the server gave none."""


def schedules(environment: Mapping[str, str], *, limit: float = LIMIT_SECONDS) -> Schedules:
    """Ask the server of PREFECT_API_URL, else the one that `serve` has announced. Never fails, nor waits for long.

    Args:
        environment: where PREFECT_API_URL, PREFECT_HOME, PREFECT_API_KEY and PREFECT_API_AUTH_STRING are looked for.
        limit: seconds that all of it may take.
    """
    url = environment.get("PREFECT_API_URL") or _announced(environment)
    if not url:
        return Schedules()
    shown = _without_password(url)
    try:
        api = _Api(url.rstrip("/"), _headers(environment), time.monotonic() + limit)
        return Schedules(url=shown, deployments=tuple(_deployments(api)))
    except _NoAnswer as problem:
        return Schedules(url=shown, problem=str(problem))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Schedules(url=shown, problem="the server answers, but not as a Prefect server does; check the address")


@dataclass(frozen=True, slots=True)
class _Api:
    url: str
    headers: Mapping[str, str]
    deadline: float

    def ask(self, path: str, body: Mapping[str, object]) -> list[dict[str, Any]]:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _NoAnswer("the server takes too long to answer; try again, or look whether it is overloaded")
        request = urllib.request.Request(f"{self.url}/{path}", json.dumps(body).encode(), dict(self.headers))
        if request.type not in ("http", "https"):
            raise _NoAnswer("the address is not one of http or https; check PREFECT_API_URL")
        host = urllib.parse.urlsplit(self.url).hostname
        handlers = [urllib.request.ProxyHandler({})] if host in LOOPBACK else []
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=left) as answer:
                read = answer.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            error.close()
            raise _NoAnswer(f"the server answers {error.code} {error.reason}; check PREFECT_API_URL") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _NoAnswer(f"the server does not answer ({reason}); start it, or check PREFECT_API_URL") from error
        found = json.loads(read)
        if not isinstance(found, list):
            raise TypeError("not a list")
        return found


def _deployments(api: _Api) -> list[Deployment]:
    ours = api.ask("deployments/filter", {"flows": {"name": {"any_": list(FLOW_NAMES)}}, "limit": _MOST})
    if not ours:
        return []
    ids = [one["id"] for one in ours]
    waiting = _runs(api, ids, ["SCHEDULED"], "EXPECTED_START_TIME_ASC")
    pools = {one.get("work_pool_name") for one in ours} - {None}
    workers = {pool: _workers(api, str(pool)) for pool in pools}
    statuses = {pool["name"]: pool.get("status") for pool in api.ask("work_pools/filter", {})} if pools else {}
    return [_deployment(api, one, waiting, workers, statuses) for one in sorted(ours, key=lambda one: str(one["name"]))]


def _deployment(
    api: _Api,
    one: Mapping[str, Any],
    waiting: Sequence[Mapping[str, Any]],
    workers: Mapping[Any, int],
    statuses: Mapping[str, str | None],
) -> Deployment:
    runs = [run for run in waiting if run["deployment_id"] == one["id"]]
    late = [run for run in runs if run.get("state_name") == "Late"]
    times = (_time(run.get("next_scheduled_start_time") or run.get("expected_start_time")) for run in runs)
    pool = one.get("work_pool_name")
    ended = _runs(api, [one["id"]], _ENDED, "END_TIME_DESC", limit=1)
    return Deployment(
        name=str(one["name"]),
        status=one.get("status"),
        is_paused=bool(one.get("paused")),
        pool=pool,
        pool_status=None if pool is None else statuses.get(pool),
        workers=None if pool is None else workers[pool],
        next_runs=tuple(time for time in times if time is not None)[len(late) : len(late) + 3],
        late=len(late),
        last_state=str(ended[0]["state_name"]) if ended else None,
        last_end=_time(ended[0].get("end_time")) if ended else None,
    )


def _runs(api: _Api, deployments: list[str], states: list[str], order: str, limit: int = _MOST) -> list[dict[str, Any]]:
    query = {
        "deployments": {"id": {"any_": deployments}},
        "flow_runs": {"state": {"type": {"any_": states}}},
        "sort": order,
        "limit": limit,
    }
    return api.ask("flow_runs/filter", query)


def _workers(api: _Api, pool: str) -> int:
    found = api.ask(f"work_pools/{urllib.parse.quote(pool, safe='')}/workers/filter", {})
    return sum(worker.get("status") == "ONLINE" for worker in found)


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _announced(environment: Mapping[str, str]) -> str | None:
    try:
        return (prefect_home(environment) / ANNOUNCEMENT).read_text(encoding="utf-8").strip() or None
    except (OSError, ValueError):
        return None


def _headers(environment: Mapping[str, str]) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if environment.get("PREFECT_API_KEY"):
        headers["Authorization"] = f"Bearer {environment['PREFECT_API_KEY']}"
    elif environment.get("PREFECT_API_AUTH_STRING"):
        word = base64.b64encode(environment["PREFECT_API_AUTH_STRING"].encode()).decode("ascii")
        headers["Authorization"] = f"Basic {word}"
    return headers


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else url
