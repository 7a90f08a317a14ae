"""How the C library hands out memory to the network on the CPU."""

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8


def keep_freed_memory() -> None:
    """Let this process keep the memory it frees, for its next tensors.

    By default glibc fetches every tensor of some megabytes anew from the kernel, page by page, and gives it back at
    once; that costs about a fifth of an image's time. The process then stays about as large as it ever was, and the
    setting holds for all of it. Other C libraries are left as they are.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def return_freed_memory() -> None:
    """Give the kernel back what this process holds and does not use, once."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        return
