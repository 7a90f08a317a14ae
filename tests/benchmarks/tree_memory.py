"""A command of this program as a run of its own, with the memory of all its processes."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[2]
SAMPLE_SECONDS = 0.1


@dataclass
class ProcessMemory:
    """The most that one process held, in bytes."""

    name: str
    resident: int = 0
    """VmHWM: all resident pages, those of shared libraries and of mapped files too."""
    private: int = 0
    """Pages of its own, and its part of shared ones that are no file's (Pss_Anon; without it, RSS)."""


@dataclass
class TreeMemory:
    """Memory of a process and all below it, looked at every tenth of a second; a context manager.

    Counted are private pages and what lies in files in memory (memfd), whoever has these open or mapped, each once;
    not the page cache of files on disk. Beside it stands the share in mapped files, libraries above all.
    """

    root: int
    peak: int = 0
    peak_of_files: int = 0
    """The memfd part of the peak."""
    peak_mapped: int = 0
    """Mapped pages of files on disk at any one time; not part of the peak."""
    processes: dict[int, ProcessMemory] = field(default_factory=dict)
    samples: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(SAMPLE_SECONDS):
            self._look()

    def _look(self) -> None:
        private = mapped = shared = 0
        files: dict[tuple[int, int], int] = {}
        for process in _tree(self.root):
            with suppress(OSError, ValueError):  # it may end meanwhile
                anonymous, of_files, in_memory = _proportional(process)
                private, mapped, shared = private + anonymous, mapped + of_files, shared + in_memory
                seen = self.processes.setdefault(process, ProcessMemory(_name(process)))
                seen.private = max(seen.private, anonymous + in_memory)
                seen.resident = max(seen.resident, _status(process, "VmHWM"))
                files |= _files_in_memory(process)
        of_memory = max(shared, sum(files.values()))
        self.samples += 1
        self.peak_mapped = max(self.peak_mapped, mapped)
        if private + of_memory > self.peak:
            self.peak, self.peak_of_files = private + of_memory, of_memory

    def lines(self) -> Iterator[str]:
        """The findings, for people."""
        yield (
            f"peak of all processes {megabytes(self.peak)}, of that files in memory {megabytes(self.peak_of_files)}; "
            f"mapped from disk besides {megabytes(self.peak_mapped)} ({self.samples} samples)"
        )
        for number, one in sorted(self.processes.items()):
            line = f"  process {number}: private {megabytes(one.private)}, VmHWM {megabytes(one.resident)}"
            yield f"{line}  {one.name}"


def _tree(root: int) -> list[int]:
    """A process and all below it."""
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        with suppress(OSError):
            for thread in Path(f"/proc/{process}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
    return found


def _proportional(process: int) -> tuple[int, int, int]:
    """Bytes of private pages, of mapped files on disk, and of mapped files in memory; shared ones in equal parts."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()[1:]
    except PermissionError:
        return _status(process, "RssAnon"), _status(process, "RssFile"), _status(process, "RssShmem")
    values = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines}
    return values["Pss_Anon"], values["Pss_File"], values["Pss_Shmem"]


def _status(process: int, name: str) -> int:
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) << 10
    return 0


def _name(process: int) -> str:
    words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
    return " ".join(Path(word.decode(errors="replace")).name for word in words[:4] if word)


def _files_in_memory(process: int) -> dict[tuple[int, int], int]:
    """Bytes of each memfd that the process has open: pages that were written but never mapped are in no Pss."""
    found = {}
    with suppress(OSError):
        for entry in Path(f"/proc/{process}/fd").iterdir():
            with suppress(OSError):
                if str(entry.readlink()).startswith("/memfd:"):
                    status = entry.stat()
                    found[status.st_dev, status.st_ino] = status.st_blocks * 512
    return found


def megabytes(size: int) -> str:
    """A size in words."""
    return f"{size / 1e6:,.0f} MB"


@dataclass(frozen=True)
class MeasuredRun:
    """How a command ended, and what it took."""

    exit_code: int
    seconds: float
    output: str
    memory: TreeMemory


def measured_run(
    archive: Path, references: Path, output: Path, options: Sequence[str], scratch: Path, timeout: float | None = None
) -> MeasuredRun:
    """`archive-colorizer run` without Prefect as a process, its memory watched; temporary files go to ``scratch``.

    After ``timeout`` seconds it is interrupted, as by Ctrl-C.
    """
    command = [sys.executable, "-m", "flows.cli", "run", str(archive), "--references", str(references)]
    command += ["--output", str(output), "--no-prefect", *options]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("ARCHIVE_COLORIZER_")}
    clean |= {"TMPDIR": str(scratch)}
    started = time.perf_counter()
    with (
        tempfile.TemporaryFile("w+", dir=scratch) as log,
        subprocess.Popen(command, env=clean, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, text=True) as process,
    ):
        with TreeMemory(process.pid) as memory:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
                process.wait()
        seconds = time.perf_counter() - started
        log.seek(0)
        return MeasuredRun(process.returncode, seconds, log.read(), memory)
