"""Where the colorized copies of a master lie: the archive's tree, mirrored in the output folder."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from storage.paths import path_to_text, text_to_path

_SUFFIXES = {
    "tiff": (".tif", ".tiff"),
    "png": (".png",),
    "jp2": (".jp2", ".jpf", ".jpx"),
    "pdf": (".pdf",),
    "jpeg": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "ffv1": (".mkv",),
    "h264": (".mp4",),
    "prores": (".mov",),
}
_ARCHIVE_ITSELF = "film"
"""What a copy is called whose master is the archive folder itself (numbered frames)."""


def output_path(path: str, output_format: str) -> str:
    """Path of the copy, relative to the output folder, for a master's path relative to the archive.

    Both are the reversible text of `storage.paths`. A suffix of the output format's family stays, any other name
    gets the format's suffix appended, so that the master's full name can be read from the copy's: `a/b.jpg` ->
    `a/b.jpg.tif`. A film that is a folder of frames is a file beside where the folder would be: `a/reel` ->
    `a/reel.mkv`.
    """
    suffixes = _SUFFIXES[output_format.partition(":")[0]]  # "jpeg:2048" is a JPEG
    relative = PurePosixPath(text_to_path(path))
    if not relative.name:
        relative = PurePosixPath(_ARCHIVE_ITSELF)
    if relative.suffix.lower() not in suffixes:
        relative = relative.with_name(relative.name + suffixes[0])
    return path_to_text(relative)


def page_path(path: str, page: int, output_format: str) -> str:
    """Path of the copy of a single page of a document: `a/b.pdf` -> `a/b.pdf.page-0007.jpg`."""
    relative = PurePosixPath(text_to_path(path))
    return output_path(path_to_text(relative.with_name(f"{relative.name}.page-{page:04}")), output_format)


def output_paths(path: str, output_formats: Sequence[str]) -> tuple[str, ...]:
    """The paths of a master's copies, one in each format."""
    return tuple(output_path(path, output_format) for output_format in output_formats)


def find_conflicts(copies: Iterable[tuple[str, Sequence[str]]]) -> dict[str, str]:
    """Masters that cannot have their copies because an earlier one (in sorted order) has a place of theirs already.

    Two copies with the same name clash, and so does a copy whose name is needed as a folder by another.

    Args:
        copies: each master's path with those of its copies.

    Returns:
        The master's path -> path of the master that holds the place.
    """
    owners: dict[str, str] = {}
    folders: dict[str, str] = {}
    conflicts: dict[str, str] = {}
    for path, targets in sorted(copies):
        parents = {parent.as_posix() for target in targets for parent in PurePosixPath(target).parents} - {"."}
        holder = _holder(targets, parents, owners, folders)
        if holder is not None:
            conflicts[path] = holder
            continue
        owners.update(dict.fromkeys(targets, path))
        for parent in parents:
            folders.setdefault(parent, path)
    return conflicts


def _holder(
    targets: Iterable[str], parents: Iterable[str], owners: Mapping[str, str], folders: Mapping[str, str]
) -> str | None:
    """The master that has one of the places already."""
    for target in targets:
        if target in owners or target in folders:
            return owners.get(target) or folders[target]
    return next((owners[parent] for parent in sorted(parents) if parent in owners), None)


def reference_text(path: Path, root: Path) -> str:
    """A reference's path as the database has it: relative to the folder of its library."""
    return path_to_text(os.path.relpath(path.parent.resolve() / path.name, root.resolve()))
