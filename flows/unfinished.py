"""Where the parts of a film or document wait in the output folder until all are there.

KIND/WORK/NAME          which film or document it is
     WORK/REQUEST/      the parts, made for one request
"""

import hashlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from storage.fixity import atomic_write


def identity(archive: str, path: str) -> str:
    """What a film or document is known by, whatever is asked for: its archive and its path there, both as text."""
    return f"{archive}\n{path}"


def sweep(kind: Path, name: str, archive: str, pending: Iterable[str]) -> None:
    """Remove the parts of works of this archive that are not to be made: they are done, or gone.

    Args:
        kind: the folder of all works of one kind.
        name: of the file in each that says which it is.
        pending: paths in the archive, as text.
    """
    wanted = {identity(archive, path) for path in pending}
    for file in kind.glob(f"*/{name}"):
        try:
            work = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        if work.startswith(identity(archive, "")) and work not in wanted:
            shutil.rmtree(file.parent, ignore_errors=True)


class UnfinishedWork:
    """The folder of the parts of one film or document for one request.

    Args:
        kind: the folder of all works of one kind.
        name: of the file that says which it is.
        work: its `identity`.
        request: identifies everything that decides the pixels.
    """

    def __init__(self, kind: Path, name: str, work: str, request: str) -> None:
        self._identity = work
        self._name = name
        self._work = kind / short(work)
        self.folder = self._work / short(request)
        """Of the parts."""

    def open(self) -> None:
        """Make the folder; parts of the same work for other requests are removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._work / self._name) as partial:
            partial.write_text(self._identity, encoding="utf-8")
        for other in self._work.iterdir():
            if other.is_dir() and other != self.folder:
                shutil.rmtree(other, ignore_errors=True)

    def remove(self) -> None:
        """The work is done: nothing here is needed any more."""
        shutil.rmtree(self._work, ignore_errors=True)


def digest(*parts: str) -> str:
    """One digest of several texts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def short(text: str) -> str:
    """A name for a folder."""
    return digest(text)[:16]
