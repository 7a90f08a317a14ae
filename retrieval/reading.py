"""How references are read: here in this process, or by whom the library is told to ask."""

from collections.abc import Callable
from pathlib import Path

from storage.images import Master

Read = Callable[[Path], Master]
"""Reads a picture; raises `UnreadableImage`."""
