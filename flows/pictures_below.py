"""The pictures of a folder that somebody names for a measurement: read, whatever else lies there."""

from collections.abc import Iterator
from pathlib import Path

from storage.errors import UnreadableImage
from storage.images import Master, read_master
from storage.paths import path_to_text
from storage.walk import FoundFile, walk_archive


def pictures_below(folder: Path) -> Iterator[tuple[str, Master]]:
    """Path below the folder and content of every picture in it; what cannot be read, and films, are passed over."""
    for entry in walk_archive(folder):
        if not isinstance(entry, FoundFile) or entry.kind == "film":
            continue
        try:
            master = read_master(entry.path)
        except UnreadableImage:
            continue
        yield path_to_text(entry.path.relative_to(folder)), master
