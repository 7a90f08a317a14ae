"""A Dask cluster as the crew of a run: one that is there, or workers on this machine, one for each GPU."""

import logging
import os
import pickle
import select
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

from distributed import Client, KilledWorker, Nanny, Scheduler, SpecCluster
from distributed.client import Future

from flows.errors import EnvironmentProblem
from flows.settings import RunSettings
from flows.work.crew import LostJob
from flows.work.job import Answer, Job
from flows.work.threads import worker_threads
from flows.work.worker import Done, RunPlugin, do_parcel
from flows.work.workshop import Reports, Workshop
from storage.fixity import sweep_partial_files

AHEAD = 2
"""Jobs given for each worker: one that it does, and one that waits."""
CONNECT_SECONDS = 20
LONELY_SECONDS = 120.0
"""So long a run waits for a cluster that has no worker."""
_LOOK_SECONDS = 2.0
_END_SECONDS = 10.0
ClientSubmit = Callable[[Client, str, str, bytes], Any]
"""Gives a job to a cluster: its name, the name of the plugin, the job as bytes; returns a future of `do_parcel`."""


class DaskCrew:
    """Workers of a cluster. Its end takes back what is under way.

    Args:
        workshop: of the run's own process.
        submit: how a job is given to the cluster as long as that works, in place of the client's own way.
    """

    def __init__(self, client: Client, workshop: Workshop, submit: ClientSubmit | None = None) -> None:
        self._client = client
        self._settings = workshop.order.settings
        self._reports: Reports = workshop.reports
        self._plugin = RunPlugin(workshop.order)
        self._given: dict[int, tuple[Job, Any]] = {}
        self._done: SimpleQueue[int] = SimpleQueue()
        self._workers = (0.0, 1)
        self._submit = submit or _submit
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self._client.register_plugin(self._plugin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, future in self._given.values():
            with suppress(Exception):
                future.cancel()
        if self._client.cluster is not None:
            _end_workers(self._client.cluster)  # now: when the run's end is recorded, nothing is written any more
            sweep_partial_files(self._settings.output)  # of workers that were killed
            return
        with suppress(Exception):
            self._client.unregister_worker_plugin(self._plugin.name)

    @property
    def capacity(self) -> int:
        """See `Crew`."""
        return AHEAD * max(1, self._count())

    def give(self, job: Job) -> None:
        """See `Crew`."""
        parcel = pickle.dumps(job)
        try:
            future = self._submit(self._client, job.name, self._plugin.name, parcel)
        except Exception:
            if self._submit is _submit:
                raise
            self._submit = _submit  # Prefect is lost; the cluster is not
            future = self._submit(self._client, job.name, self._plugin.name, parcel)
        self._await(job, future)

    def take(self) -> tuple[Job, Answer]:
        """See `Crew`."""
        start = time.monotonic()
        try:
            return self._take()
        finally:
            self.seconds += time.monotonic() - start

    def _await(self, job: Job, future: Any) -> None:
        self._given[id(job)] = (job, future)
        future.add_done_callback(lambda _: self._done.put(id(job)))

    def _take(self) -> tuple[Job, Answer]:
        while True:
            job, future = self._given.pop(self._next())
            error = future.exception()
            if isinstance(error, KilledWorker):
                raise LostJob(job)
            found = None if error is not None else _bytes_of(future.result())
            if found is None:  # it did not come to the work, or not back from it: that is no fault of the job
                if self._submit is _submit:
                    raise EnvironmentProblem(f"the Dask cluster failed at {job.name} ({error})") from error
                self._submit = _submit
                self.give(job)
                continue
            done: Done = pickle.loads(found)
            self._tell(done)
            if done.error is not None:
                raise done.error
            return job, done.answer or Answer()

    def _next(self) -> int:
        lonely_since = time.monotonic()
        while True:
            try:
                return self._done.get(timeout=_LOOK_SECONDS)
            except Empty:
                pass
            if self._client.status != "running":
                raise EnvironmentProblem("the Dask cluster is gone; start it and run again")
            if self._count():
                lonely_since = time.monotonic()
            elif time.monotonic() - lonely_since > LONELY_SECONDS:
                raise EnvironmentProblem(
                    f"the Dask cluster has had no worker for {LONELY_SECONDS:.0f} s; start some and run again"
                )

    def _tell(self, done: Done) -> None:
        for line in done.told.lines:
            self._reports.progress.say(line)
        for outcome in done.told.outcomes:
            self._reports.through(outcome)
        self._reports.recording(done.told.recording_seconds)

    def _count(self) -> int:
        """How many workers there are; asked for every few seconds."""
        asked, count = self._workers
        if time.monotonic() - asked > _LOOK_SECONDS:
            try:
                count = len(self._client.nthreads())
            except Exception:  # the scheduler is away; `status` tells when it stays so
                count = 0
            self._workers = (time.monotonic(), count)
        return count


def _submit(client: Client, name: str, plugin: str, parcel: bytes) -> Future[bytes]:
    return client.submit(do_parcel, plugin, parcel, pure=False)


def _bytes_of(result: object) -> bytes | None:
    """What a worker sent, also where Prefect has put its state around it."""
    if isinstance(result, bytes):
        return result
    with suppress(Exception):
        inner = result.result(raise_on_failure=False, _sync=True)  # type: ignore[attr-defined]
        return inner if isinstance(inner, bytes) else None
    return None


@contextmanager
def connected(settings: RunSettings, *, prefect: bool) -> Iterator[Client]:
    """A client of the cluster that the settings name, or of workers that are started here and end with the block.

    Args:
        prefect: whether Prefect's tasks are to be submitted.

    Raises:
        EnvironmentProblem: there is no cluster at the address, or no worker starts.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what concerns people is said by ourselves
    kind: Any = Client
    if prefect:
        from prefect_dask.client import PrefectDaskClient

        kind = PrefectDaskClient
    if settings.cluster is not None:
        try:
            client = kind(settings.cluster, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise EnvironmentProblem(
                f"there is no Dask cluster at {settings.cluster}; start it (`dask scheduler`), or check --cluster"
            ) from error
        with client:
            yield client
        return
    cluster = _own_cluster(settings)
    try:
        with kind(cluster, timeout=CONNECT_SECONDS, set_as_default=False) as client:
            yield client
    finally:
        _end_workers(cluster)
        with suppress(Exception):
            cluster.close(timeout=5)


def _own_cluster(settings: RunSettings) -> SpecCluster:
    threads = str(worker_threads(settings))
    workers = {
        number: {
            "cls": Nanny,
            "options": {
                "nthreads": 1,  # one job at a time
                "memory_limit": 0,  # what a picture needs is known; a worker is not to be ended for it
                "host": "127.0.0.1",
                "dashboard": False,
                "silence_logs": logging.CRITICAL,
                "env": {"OMP_NUM_THREADS": threads, **_gpu(settings, number)},
            },
        }
        for number in range(settings.workers)
    }
    scheduler = {
        "cls": Scheduler,
        "options": {"host": "127.0.0.1", "port": 0, "dashboard": False, "allowed_failures": 1},
    }
    try:
        return SpecCluster(workers=workers, scheduler=scheduler, silence_logs=logging.CRITICAL)
    except (OSError, RuntimeError, TimeoutError) as error:
        raise EnvironmentProblem(f"the {settings.workers} workers did not start ({error}); use --workers 1") from error


def _gpu(settings: RunSettings, number: int) -> dict[str, str]:
    """Each worker its own GPU, in turn where there are fewer; a device that is named is for all of them."""
    if settings.device not in ("auto", "cuda"):
        return {}
    import torch

    count = torch.cuda.device_count()
    if not count:
        return {}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(count)))
    return {"CUDA_VISIBLE_DEVICES": visible.split(",")[number % count]}


def _end_workers(cluster: SpecCluster) -> None:
    """End the worker processes at once, whatever they are doing; when this returns, none of them writes any more."""
    ended: list[int] = []
    for nanny in cluster.workers.values():
        nanny.auto_restart = False
        with suppress(AttributeError, OSError, TypeError):  # it has none, or has ended
            pid = nanny.process.pid
            ended.append(os.pidfd_open(pid))
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + _END_SECONDS
    for descriptor in ended:
        select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))  # readable when it has ended
        os.close(descriptor)
