"""Processes that end with the one that started them, even when that one is killed."""

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with(parent: int) -> bool:
    """Have the kernel kill this process as soon as its parent ends. False if it has ended before.

    Called in the child and not by the parent between fork and exec, where a process with threads must not run Python.
    """
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent
