"""Where copies may be written: in the output folder, never in the archive, never over a file that is not ours."""

import mmap
from collections.abc import Callable
from os.path import lexists
from pathlib import Path

from flows.failures import ItemFailure
from flows.run_record import SOFTWARE
from storage.film import says_of_itself
from storage.paths import text_to_path
from storage.signatures import FILM_SUFFIXES

# the event that `storage.images` appends to the XMP history of every copy; XMP is stored as plain bytes
_MARK = f"softwareAgent>{SOFTWARE} ".encode()

IsRecorded = Callable[[str], bool]


def carries_our_mark(path: Path) -> bool:
    """Whether a file says of itself that this program wrote it; False for what cannot be read.

    A run that was killed leaves whole copies that are not on record yet: they are known by this.
    """
    if path.suffix.lower() in FILM_SUFFIXES:
        return says_of_itself(path, f"{SOFTWARE} ")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_MARK) >= 0
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


class Destination:
    """The output folder of one run, asked before each copy.

    Args:
        archive, output: absolute folders.
        is_recorded: whether an output path was ever recorded for a copy in this output folder, superseded or not.
    """

    def __init__(self, archive: Path, output: Path, is_recorded: IsRecorded) -> None:
        self._output = output
        self._real_archive = archive.resolve()
        self._real_output = output.resolve()
        self._is_recorded = is_recorded
        self._safe: dict[Path, bool] = {}

    def place(self, path: str, output_path: str) -> Path:
        """The file that the copy of the master `path` is to be written to; both are texts of `storage.paths`.

        Raises:
            ItemFailure: `outside_output`, a link leads out of the output folder; `in_the_way`, there is a file that
                is not ours.
        """
        target = self._output / text_to_path(output_path)
        if not self._is_safe(target.parent):
            raise ItemFailure(
                "outside_output",
                f"{path}: a link in the output folder leads out of it, so that the copy {output_path} would be written "
                "elsewhere; remove the link and run again",
            )
        if lexists(target) and not carries_our_mark(target) and not self._is_recorded(output_path):
            raise ItemFailure(
                "in_the_way",
                f"{path}: the output folder has a file {output_path} already that is not a copy made here; move it "
                "away, or choose another output folder, and run again",
            )
        return target

    def _is_safe(self, folder: Path) -> bool:
        if folder not in self._safe:
            try:
                real = folder.resolve()
            except (OSError, RuntimeError):  # links in a circle
                return False
            self._safe[folder] = real.is_relative_to(self._real_output) and not real.is_relative_to(self._real_archive)
        return self._safe[folder]
