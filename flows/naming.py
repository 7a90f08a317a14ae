"""Where the colorized copy of a master lies: the archive's tree, mirrored in the output folder."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from storage.paths import path_to_text, text_to_path

_SUFFIXES = {"tiff": (".tif", ".tiff"), "png": (".png",)}


def output_path(path: str, output_format: str) -> str:
    """Path of the copy, relative to the output folder, for a master's path relative to the archive.

    Both are the reversible text of `storage.paths`. A suffix of the output format's family stays, any other name
    gets the format's suffix appended, so that the master's full name can be read from the copy's: `a/b.jpg` ->
    `a/b.jpg.tif`.
    """
    suffixes = _SUFFIXES[output_format]
    relative = PurePosixPath(text_to_path(path))
    if relative.suffix.lower() not in suffixes:
        relative = relative.with_name(relative.name + suffixes[0])
    return path_to_text(relative)


def find_conflicts(paths: Iterable[str], output_format: str) -> dict[str, str]:
    """Masters that cannot have their copy because an earlier one (in sorted order) has that place already.

    Returns the master's path -> path of the master that holds the place. Two copies with the same name clash, and so
    does a copy whose name is needed as a folder by another.
    """
    owners: dict[str, str] = {}
    folders: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    for path in sorted(paths):
        target = output_path(path, output_format)
        parents = [parent.as_posix() for parent in PurePosixPath(target).parents][:-1]
        holder = owners.get(target) or folders.get(target)
        holder = holder or next((owners[parent] for parent in parents if parent in owners), None)
        if holder is not None:
            conflicts[path] = holder
            continue
        owners[target] = path
        for parent in parents:
            folders.setdefault(parent, path)
    return conflicts
