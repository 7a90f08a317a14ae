"""A film as steps of a run, each a task of its own: look at it, colorize groups of its shots, join them."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flows.film.job import FilmJob, FilmTools
from flows.planning import PendingItem
from flows.step import Step
from storage.database.records import ItemOutcome

Record = Callable[[Sequence[ItemOutcome]], None]
OnOutcome = Callable[[ItemOutcome], None]


def film_steps(tools: FilmTools, item: PendingItem, record: Record, on_outcome: OnOutcome) -> list[Step]:
    """The first step of a film; the others follow from it. What goes wrong in one of them is recorded once."""
    return [partial(_open, FilmJob(tools, item), _Recorder(record, on_outcome))]


class _Recorder:
    def __init__(self, record: Record, on_outcome: OnOutcome) -> None:
        self._record = record
        self._on_outcome = on_outcome
        self.is_done = False

    def take(self, outcome: ItemOutcome) -> None:
        self._record([outcome])
        self._on_outcome(outcome)
        self.is_done = True


def _open(job: FilmJob, recorder: _Recorder) -> Sequence[Step]:
    groups = _attempt(job, recorder, job.open)
    if groups is None:
        return ()
    return [*(partial(_colorize, job, recorder, group) for group in groups), partial(_finish, job, recorder)]


def _colorize(job: FilmJob, recorder: _Recorder, shots: range) -> None:
    if not recorder.is_done:
        _attempt(job, recorder, partial(job.colorize, shots))


def _finish(job: FilmJob, recorder: _Recorder) -> None:
    if recorder.is_done:
        return
    outcome = _attempt(job, recorder, job.finish)
    if outcome is not None:
        recorder.take(outcome)
        job.clear()


def _attempt(job: FilmJob, recorder: _Recorder, step: Callable[[], Any]) -> Any:
    try:
        return step()
    except Exception as error:
        recorder.take(job.failed(error))
        return None
