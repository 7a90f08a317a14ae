"""The work of a flow run, kept apart from Prefect: it is done, once, whatever becomes of Prefect meanwhile."""

from collections.abc import Callable

from flows.archive_run import ArchiveRun, execute
from flows.summary import RunSummary

Gone = Callable[[], bool]


def never() -> bool:
    """For a server that somebody else watches."""
    return False


class Work:
    """A prepared run on its way through Prefect.

    Args:
        run: the run.
        server_is_gone: looked at before every step; from then on Prefect is not asked any more.
    """

    def __init__(self, run: ArchiveRun, server_is_gone: Gone) -> None:
        self.run = run
        self.summary: RunSummary | None = None
        self.error: BaseException | None = None
        """What ended the work itself; never an error of Prefect."""
        self.prefect_is_lost = False
        self._server_is_gone = server_is_gone
        self._done: dict[int, dict[str, int]] = {}

    def is_without_prefect(self) -> bool:
        """Whether the server is gone, or Prefect has failed; both are for good."""
        self.prefect_is_lost = self.prefect_is_lost or self._server_is_gone()
        return self.prefect_is_lost

    def do(self, through_prefect: Callable[[int], object] | None = None, flow_run_id: str | None = None) -> RunSummary:
        """Do all steps, each through Prefect's task as long as there is Prefect."""

        def do_step(number: int) -> None:
            if through_prefect is None or self.is_without_prefect():
                self.do_step(number)
                return
            try:
                through_prefect(number)
            except Exception:
                if self.error is not None:
                    raise self.error from None
                self.prefect_is_lost = True
                self.do_step(number)

        try:
            self.summary = execute(self.run, do_step, flow_run_id)
        except BaseException as error:
            self.error = error
            raise
        return self.summary

    def do_step(self, number: int) -> dict[str, int]:
        """Do one step by its number; nothing when it is done already."""
        if number not in self._done:
            try:
                self._done[number] = self.run.do_step(number)
            except BaseException as error:
                self.error = error
                raise
        return self._done[number]
