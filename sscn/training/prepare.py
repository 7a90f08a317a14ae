"""Build the folders of training and held-out photographs from freely licensed packages.

    python -m sscn.training.prepare --output DIR [--packages DIR_WITH_DEBS]

writes DIR/train and DIR/held-out as ``photographs.csv`` lists them, and says in one line each what is missing or
differs. Exit code 1 if a package cannot be had.
"""

import argparse
import hashlib
import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageFilter, ImageOps

from sscn.errors import SscnError
from sscn.training.manifest import SPLITS, Entry, read_manifest
from sscn.training.packages import Packages
from sscn.training.qt_resources import resource_files

LONG_SIDE = 1024
"""Larger training photographs are shrunk to so many pixels."""
_QUALITY = 95
_MARGIN = 1.35
"""Side of the ground behind a cut-out, as a multiple of the cut-out's."""


class Preparation:
    """Reads the photographs of a list out of their packages and writes them to a folder."""

    def __init__(self, entries: Sequence[Entry], packages: Packages, say: Callable[[str], None]) -> None:
        self.entries = entries
        self.packages = packages
        self.say = say
        self.lacking: dict[str, str] = {}
        """Packages that cannot be had, with the reason."""
        self._told: set[str] = set()
        self._by_name = {entry.name: entry for entry in entries}
        self._collections: dict[Path, dict[str, bytes]] = {}

    def write(self, output: Path) -> dict[str, int]:
        """Write every photograph; those that are missing or differ are told of and passed by.

        Returns:
            Photographs written, by split.
        """
        written = dict.fromkeys(SPLITS, 0)
        for entry in self.entries:
            folder = output / entry.split
            folder.mkdir(parents=True, exist_ok=True)
            content = self._prepared(entry)
            if content is not None:
                _write(folder / entry.name, content)
                written[entry.split] += 1
        return written

    def _prepared(self, entry: Entry) -> bytes | None:
        packed = self._packed(entry)
        if packed is None or entry.split == "held-out":  # what is measured on stays as it was published
            return packed
        if not entry.ground:
            return _at_most(packed, LONG_SIDE)
        behind = self._packed(self._by_name[entry.ground])
        return None if behind is None else on_ground(packed, behind)

    def _packed(self, entry: Entry) -> bytes | None:
        """The photograph as its package holds it, or nothing, which is then told."""
        folder = self._folder(entry.package)
        if folder is None:
            return None
        try:
            content = self._content(folder / entry.path, entry.inside)
        except SscnError as error:
            self._tell(f"{entry.where}: {error}")
            return None
        if content is None:
            self._tell(f"{entry.where} is missing (the list knows version {entry.version})")
            return None
        if hashlib.sha256(content).hexdigest() != entry.sha256:
            self._tell(f"{entry.where} differs from the listed one (of version {entry.version}); left out")
            return None
        return content

    def _tell(self, line: str) -> None:
        """Say a line once, though several cut-outs may want the same ground."""
        if line not in self._told:
            self._told.add(line)
            self.say(line)

    def _folder(self, package: str) -> Path | None:
        if package in self.lacking:
            return None
        try:
            return self.packages.folder(package)
        except SscnError as error:
            self.lacking[package] = str(error)
            self._tell(str(error))
            return None

    def _content(self, path: Path, inside: str) -> bytes | None:
        if not path.is_file():
            return None
        if not inside:
            return path.read_bytes()
        if path not in self._collections:
            self._collections = {path: {found.path: found.content for found in resource_files(path.read_bytes())}}
        return self._collections[path].get(inside)


def on_ground(cut_out: bytes, ground: bytes) -> bytes:
    """A cut-out (picture with transparency) on a blurred copy of a photograph, as JPEG."""
    with Image.open(io.BytesIO(cut_out)) as opened:
        figure = opened.convert("RGBA")
    figure.thumbnail((int(LONG_SIDE / _MARGIN),) * 2, Image.Resampling.LANCZOS)
    size = (round(figure.width * _MARGIN), round(figure.height * _MARGIN))
    with Image.open(io.BytesIO(ground)) as opened:
        opened.draft("RGB", size)
        behind = ImageOps.fit(opened.convert("RGB"), size, Image.Resampling.LANCZOS)
    behind = behind.filter(ImageFilter.GaussianBlur(max(size) / 80))
    behind.paste(figure, ((size[0] - figure.width) // 2, (size[1] - figure.height) // 2), figure)
    return _as_jpeg(behind)


def _at_most(packed: bytes, long_side: int) -> bytes:
    """The same bytes, or, of a larger photograph, a smaller JPEG."""
    with Image.open(io.BytesIO(packed)) as opened:
        if max(opened.size) <= long_side:
            return packed
        upright = ImageOps.exif_transpose(opened).convert("RGB")
    upright.thumbnail((long_side, long_side), Image.Resampling.LANCZOS)
    return _as_jpeg(upright)


def _as_jpeg(picture: Image.Image) -> bytes:
    coded = io.BytesIO()
    picture.save(coded, "JPEG", quality=_QUALITY)
    return coded.getvalue()


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.archive-colorizer-partial")
    partial.write_bytes(content)
    partial.replace(path)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m sscn.training.prepare",
        description="Build the folders of training and held-out photographs from freely licensed packages.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="gets DIR/train and DIR/held-out")
    parser.add_argument("--packages", type=Path, metavar="DIR", help="folder with .deb files already fetched")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    """Run the command; 1 if a package cannot be had, else 0."""
    arguments = _arguments(given)

    def say(line: str) -> None:
        print(line, file=sys.stderr)

    if arguments.packages is not None and not arguments.packages.is_dir():
        say(f"{arguments.packages}: there is no such folder; name the folder that holds the .deb files")
        return 1
    with tempfile.TemporaryDirectory(prefix="archive-colorizer-") as work:
        preparation = Preparation(read_manifest(), Packages(Path(work), arguments.packages), say)
        try:
            written = preparation.write(arguments.output)
        except OSError as error:
            say(f"{arguments.output}: the photographs cannot be written ({error.strerror}); choose another folder")
            return 1
    for split, count in written.items():
        print(f"{arguments.output / split}: {count} photographs")
    return 1 if preparation.lacking else 0


if __name__ == "__main__":
    sys.exit(main())
