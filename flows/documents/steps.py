"""A document as steps of a run, each a task of its own: open it, colorize batches of its pages, put them together."""

from collections.abc import Sequence
from functools import partial

from flows.batch import OnOutcome, Record
from flows.documents.job import DocumentJob, DocumentTools
from flows.planning import PendingItem
from flows.progress import Progress
from flows.step import Step
from storage.database.records import ItemOutcome


def document_steps(
    tools: DocumentTools, pages: Sequence[PendingItem], record: Record, on_outcome: OnOutcome, progress: Progress
) -> list[Step]:
    """The first step of a document; the others follow from it. Its outcomes are recorded together, at the end."""
    return [partial(_open, DocumentJob(tools, pages), _Recorder(record, on_outcome), progress)]


class _Recorder:
    def __init__(self, record: Record, on_outcome: OnOutcome) -> None:
        self._record = record
        self._on_outcome = on_outcome

    def take(self, outcomes: Sequence[ItemOutcome]) -> None:
        self._record(outcomes)
        for outcome in outcomes:
            self._on_outcome(outcome)


def _open(job: DocumentJob, recorder: _Recorder, progress: Progress) -> Sequence[Step]:
    try:
        batches = job.open()
    except Exception as error:
        recorder.take(job.failed(error))
        progress.advance(len(job.pages), failed=True)
        return ()
    progress.pass_over(len(job.pages) - sum(map(len, batches)))

    def advance(outcome: ItemOutcome) -> None:
        progress.advance(failed=outcome.state == "failed")

    return [*(partial(job.colorize, batch, advance) for batch in batches), partial(_finish, job, recorder)]


def _finish(job: DocumentJob, recorder: _Recorder) -> None:
    try:
        outcomes = job.finish()
    except Exception as error:
        outcomes = job.failed(error)
    recorder.take(outcomes)
    job.clear(outcomes)
