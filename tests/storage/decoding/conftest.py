"""A decoder that does what the tests ask for."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from storage.decoding.decoder import Decoder
from tests.storage.decoding.functions import REGISTRY

SCAN = Path("scan 1.tif")
"""What the calls are about; nothing reads it."""


@pytest.fixture
def decoder() -> Iterator[Decoder]:
    with Decoder(registry=REGISTRY, patience=20) as decoder:
        yield decoder


def is_alive(process: int) -> bool:
    """Whether there is such a process that has not ended (a zombie has)."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] not in "ZX"


def children() -> set[int]:
    """The processes that this one started and that are still there, also zombies."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # a thread that has ended meanwhile
            found |= {int(process) for process in (task / "children").read_text().split()}
    return found


def open_files() -> int:
    """How many descriptors this process has."""
    return len(list(Path("/proc/self/fd").iterdir()))
