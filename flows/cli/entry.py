"""From the shell's arguments to an exit code: every way in which a command can end."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

import typer

from flows.errors import ExitCode, FlowError, Interrupted, LeaveAtOnce

PROGRAM = "archive-colorizer"


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and leave the process with its exit code (see `flows.errors.ExitCode`)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # torch's threads else spin while they wait for each other, which makes a run several times slower as soon as
    # anything else (the Prefect server, say) wants a core; read by the OpenMP runtime when torch is loaded
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        code = run_command(given)
    except LeaveAtOnce as leave:
        sys.stderr.flush()
        os._exit(leave.exit_code)
    raise SystemExit(code)


def run_command(arguments: list[str]) -> int:
    """Run one command; returns its exit code. Errors are one line on stderr, with a traceback after `--debug`.

    Raises:
        LeaveAtOnce: everything is said, and the process should end without waiting for its threads.
    """
    debug = "--debug" in arguments or os.environ.get("ARCHIVE_COLORIZER_DEBUG", "").lower() in (
        "1",
        "true",
        "yes",
        "on",
    )
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _invoke([argument for argument in arguments if argument != "--debug"])
    except LeaveAtOnce as leave:
        code = _tell(leave.error, debug=debug) if leave.error is not None else _flushed(leave.exit_code)
        raise LeaveAtOnce(code) from None
    except BaseException as error:
        return _tell(error, debug=debug)
    finally:
        signal.signal(signal.SIGTERM, before)


def _tell(error: BaseException, *, debug: bool) -> int:
    if debug and not isinstance(error, typer.Exit | typer.Abort):
        traceback.print_exception(error)
    code, message = explain(error)
    if message:
        print(f"{PROGRAM}: {message}", file=sys.stderr)
    return int(code)


def _flushed(code: int) -> int:
    """What was printed to the end, which may meet a reader that is gone."""
    try:
        sys.stdout.flush()
    except BrokenPipeError as error:
        return int(explain(error)[0])
    return code


def _invoke(arguments: list[str]) -> int:
    from flows.cli.app import app

    answer = typer.main.get_command(app).main(arguments, prog_name=PROGRAM, standalone_mode=False)
    sys.stdout.flush()
    if answer == ExitCode.INTERRUPTED:  # what typer makes of Ctrl-C, without a word
        raise Interrupted
    return int(answer or 0)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # once is enough: a second SIGTERM must not break the clean end that the first one began
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted


def explain(error: BaseException) -> tuple[ExitCode | int, str]:
    """Exit code and line for people of whatever ended a command."""
    if isinstance(error, typer.Exit):
        return error.exit_code, ""
    if isinstance(error, FlowError):
        return error.exit_code, str(error)
    if isinstance(error, Interrupted | KeyboardInterrupt | typer.Abort):
        return (
            ExitCode.INTERRUPTED,
            "stopped; what was finished is recorded, the same command goes on from there",
        )
    if _is_reader_gone(error):
        # head or less has seen enough; keep Python from complaining at exit. Not 0: nobody knows what was left to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]
        return ExitCode.READER_GONE, ""
    if _is_wrong_usage(error):
        line = error.format_message().replace("\n", " ")  # type: ignore[attr-defined]
        # typer has printed the help already where no command was given, and leaves the message empty
        return ExitCode.USAGE, f"{line} (see {PROGRAM} --help)" if line.strip() else ""
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else ExitCode.USAGE), ""
    return _explain_environment(error)


def _is_reader_gone(error: BaseException) -> bool:
    """Whether a pipe was closed on us, also where typer or rich have made a SystemExit of that."""
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
    )


def _is_wrong_usage(error: BaseException) -> bool:
    """Whether typer refused the arguments. Typer may bundle click, so its error class is found by its heirs."""
    base = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
    return isinstance(error, base)


def _explain_environment(error: BaseException) -> tuple[ExitCode, str]:
    from storage.errors import StorageError

    if isinstance(error, StorageError):
        return ExitCode.ENVIRONMENT, str(error.args[0])
    if _comes_from("sscn", error) or _comes_from("retrieval", error):
        return ExitCode.USAGE, str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        remedy = "; free some space and run again" if error.errno == errno.ENOSPC else ""
        return ExitCode.ENVIRONMENT, f"{where}{error.strerror or error}{remedy}"
    return (
        ExitCode.ENVIRONMENT,
        f"unexpected error: {error}; run again with --debug and report what it prints",
    )


def _comes_from(room: str, error: BaseException) -> bool:
    """Whether the error is one of a room's own, without importing the room (and torch with it)."""
    return type(error).__module__.partition(".")[0] == room
