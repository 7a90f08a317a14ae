"""Memory that is freed stays with the process, until it is given back."""

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
from pathlib import Path
import torch
from sscn.allocator import keep_freed_memory, return_freed_memory

def resident():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line)

keep_freed_memory()
keep_freed_memory()
tensor = torch.ones(50_000_000)
full = resident()
del tensor
kept = resident()
return_freed_memory()
print(full, kept, resident())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_freed_memory_is_kept_and_given_back():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    full, kept, left = map(int, done.stdout.split())
    assert kept > full - 20_000  # KiB; the tensor has 195,000
    assert left < full - 150_000
