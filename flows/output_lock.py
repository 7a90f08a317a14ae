"""One run at a time in one output folder."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.errors import EnvironmentProblem

# what file systems without locks on folders answer (NFS among them)
_NO_LOCKS = (errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(output: Path) -> Iterator[bool]:
    """Hold the output folder, made when it is not there.

    The kernel lets go of it when the process ends, however it ends.

    The lock is on the folder itself, so no lock file can be left behind. Yields False where the file system knows no
    such locks: then only the administrator can keep two runs apart.

    Raises:
        EnvironmentProblem: another run holds the folder, or it cannot be made.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(output, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise EnvironmentProblem(f"the output folder {output} cannot be used: {error.strerror}") from error
    try:
        held = True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise EnvironmentProblem(
                f"another run is at work in the output folder {output}; wait for its end or choose another folder"
            ) from error
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            held = False
        yield held
    finally:
        os.close(descriptor)
