"""Exit codes, and the errors that end a command with one line for people."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the program answers to the shell."""

    DONE = 0
    USAGE = 1
    ITEMS_FAILED = 2
    ENVIRONMENT = 3
    INTERRUPTED = 130
    READER_GONE = 141
    """As the shell tells of a program that SIGPIPE ended, which is how `head` ends those of coreutils."""


class FlowError(Exception):
    """An error whose first argument is one line that names the thing and the remedy."""

    exit_code = ExitCode.ENVIRONMENT


class UsageError(FlowError):
    """Wrong usage or settings."""

    exit_code = ExitCode.USAGE


class EnvironmentProblem(FlowError):  # noqa: N818 - EnvironmentError is a name of Python's own
    """Database, device, disk, or a lock held by another run."""

    exit_code = ExitCode.ENVIRONMENT


class Interrupted(BaseException):
    """SIGTERM arrived. Not an Exception, so that no handler for bad items can swallow it."""


class LeaveAtOnce(BaseException):
    """All is done and closed, and the process ends here: Prefect's threads would look for a lost server for minutes.

    `error` is what ended the command, if anything did; its exit code then counts.
    """

    def __init__(self, exit_code: int, error: BaseException | None = None) -> None:
        super().__init__(exit_code, error)
        self.exit_code = exit_code
        self.error = error
