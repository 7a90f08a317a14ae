"""A Prefect server of our own for as long as this process lives, or the user's when PREFECT_API_URL names one.

Prefect's ephemeral server is orphaned when the process is killed, and it cannot schedule. Ours is a child with a
parent-death signal on a free loopback port; it keeps its records in a PREFECT_HOME of its own and never touches the
user's profile.
"""

import fcntl
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from flows.errors import EnvironmentProblem
from storage.fixity import atomic_write

START_LIMIT_SECONDS = 120.0
USUAL_PORT = 4200
LOOPBACK = ("127.0.0.1", "localhost")
ANNOUNCEMENT = "archive-colorizer-server.url"
STARTING = "archive-colorizer-server.lock"


def prefect_home(environment: Mapping[str, str]) -> Path:
    """Where Prefect keeps its records: PREFECT_HOME if the user set one, else our folder in the XDG data directory."""
    if environment.get("PREFECT_HOME"):
        return Path(environment["PREFECT_HOME"]).expanduser()
    data = environment.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "archive-colorizer" / "prefect"


def configure_prefect(*, quiet: bool = True) -> None:
    """Set Prefect's environment for this process and its children. To be called before `prefect` is imported."""
    home = prefect_home(os.environ)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentProblem(
            f"Prefect's folder {home} cannot be made ({error.strerror}); set PREFECT_HOME to another folder"
        ) from error
    ours = {
        "PREFECT_HOME": str(home),
        "PREFECT_PROFILES_PATH": str(home / "archive-colorizer-profiles.toml"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_CLI_PROMPT": "false",
        "DO_NOT_TRACK": "1",
    }
    if quiet:
        ours |= {"PREFECT_LOGGING_LEVEL": "ERROR", "PREFECT_LOGGING_TO_API_ENABLED": "false"}
    for name, value in ours.items():
        os.environ.setdefault(name, value)


def keep_loopback_off_proxies(environment: MutableMapping[str, str]) -> None:
    """See that no HTTP proxy is asked for our own server; other addresses go where they went."""
    lists = {name: environment.get(name, "") for name in ("no_proxy", "NO_PROXY")}
    for name, listed in lists.items():
        hosts = [host.strip() for host in (listed or lists["no_proxy"] or lists["NO_PROXY"]).split(",") if host.strip()]
        if hosts != ["*"]:  # "*" alone: no proxy at all
            environment[name] = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])


@dataclass(slots=True)
class PrefectServer:
    """A Prefect server that this process may use. `start` returns at once; `wait` until it answers."""

    url: str
    child: subprocess.Popen[bytes] | None = None
    log: IO[bytes] | None = None
    announcement: Path | None = None
    starting: IO[bytes] | None = None
    """Locked by the child (with which we share the open file) while it starts."""

    @classmethod
    def start(cls, *, lasting: bool = False) -> "PrefectServer":
        """Begin to start a server, or take one that is there: the user's (PREFECT_API_URL), or that of `serve`.

        Must be called from the main thread: the parent-death signal follows the thread that starts the child.

        Args:
            lasting: for a schedule: on Prefect's usual port if that is free, with Prefect's block types (for
                notifications; some seconds more), and found by runs that start meanwhile.
        """
        configure_prefect(quiet=not lasting)
        if os.environ.get("PREFECT_API_URL"):
            return cls(os.environ["PREFECT_API_URL"])
        keep_loopback_off_proxies(os.environ)
        home = Path(os.environ["PREFECT_HOME"])
        announced = _announced(home / ANNOUNCEMENT)
        if announced is not None:
            return cls(announced)
        port = _free_port(USUAL_PORT if lasting else 0)
        _sweep_logs(home)
        log = (home / f"server-{'schedule' if lasting else 'run'}-{os.getpid()}.log").open("wb")
        starting = (home / STARTING).open("ab")
        environment = dict(os.environ) | {"PREFECT_LOGGING_LEVEL": "WARNING"}
        if not lasting:
            environment["PREFECT_API_BLOCKS_REGISTER_ON_START"] = "false"
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "flows.orchestration.server_child",
                *map(str, (starting.fileno(), port, os.getpid())),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[starting.fileno()],
            start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the server ourselves
        )
        return cls(f"http://127.0.0.1:{port}/api", child, log, home / ANNOUNCEMENT if lasting else None, starting)

    def wait(self, limit: float = START_LIMIT_SECONDS) -> None:
        """Wait until the server answers, and make it the API of this process.

        Raises:
            EnvironmentProblem: it did not start, or the user's own does not answer.
        """
        deadline = time.monotonic() + (limit if self.child else 10.0)
        while not _is_healthy(self.url):
            if self.child is not None and self.child.poll() is not None:
                raise EnvironmentProblem(
                    f"the Prefect server did not start; look into {self.log_path}, or use --no-prefect"
                )
            if time.monotonic() > deadline:
                raise EnvironmentProblem(
                    f"the Prefect server at {self.url} does not answer; check PREFECT_API_URL, or use --no-prefect"
                )
            time.sleep(0.05)
        if self.starting is not None:  # the next one may start
            fcntl.flock(self.starting, fcntl.LOCK_UN)
        os.environ["PREFECT_API_URL"] = self.url
        if self.announcement is not None:
            with atomic_write(self.announcement) as partial:  # others read it as soon as it is there
                partial.write_text(self.url, encoding="utf-8")

    def is_gone(self) -> bool:
        """Whether there is no server any more. One that is only slow to answer is still there."""
        if self.child is not None:
            return self.child.poll() is not None
        return _refuses(self.url)

    @property
    def log_path(self) -> str:
        """Where our own server writes what it has to say."""
        return str(self.log.name) if self.log is not None else ""

    def stop(self) -> None:
        """Stop our own server; the user's is left alone."""
        if self.child is None:
            return
        if os.environ.get("PREFECT_API_URL") == self.url:
            del os.environ["PREFECT_API_URL"]
        if self.announcement is not None:
            self.announcement.unlink(missing_ok=True)
        self.child.terminate()
        try:
            self.child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        for file in (self.log, self.starting):
            if file is not None:
                file.close()
        self.child = None


def _sweep_logs(home: Path) -> None:
    """Remove the logs of servers whose process is gone."""
    for log in home.glob("server-*.log"):
        pid = log.stem.rpartition("-")[2]
        if not (pid.isdigit() and Path("/proc", pid).exists()):
            log.unlink(missing_ok=True)


def _free_port(wanted: int) -> int:
    """The wanted port if it is free, else any (0 asks for any)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself will
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return _free_port(0)
        port: int = probe.getsockname()[1]
        return port


def _announced(announcement: Path) -> str | None:
    """The address of a lasting server of ours that is up. Two servers on one SQLite file would hinder each other."""
    try:
        url = announcement.read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return url if url and _is_healthy(url) else None


def _is_healthy(url: str) -> bool:
    """Whether `url`/health answers 200."""
    try:
        return _health(url) == 200
    except (OSError, http.client.HTTPException):
        return False


def _refuses(url: str) -> bool:
    """Whether nobody listens at `url`."""
    try:
        _health(url)
    except ConnectionRefusedError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    return False


def _health(url: str) -> int:
    """The status that `url`/health answers."""
    scheme, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    kind = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    connection = kind(host, timeout=2)
    try:
        connection.request("GET", f"/{path.rstrip('/')}/health")
        return connection.getresponse().status
    finally:
        connection.close()
