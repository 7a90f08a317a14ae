"""Image sequences: a folder of numbered DPX or TIFF frames is one film."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from storage.film.errors import UnreadableFilm
from storage.film.records import SequencePattern
from storage.paths import path_to_text

SEQUENCE_SUFFIXES = frozenset({".dpx", ".tif", ".tiff"})
_NUMBERED = re.compile(r"(.*?)(\d+)(\.[A-Za-z]+)", re.DOTALL)


class NumberedName(NamedTuple):
    """A frame's file name, taken apart."""

    prefix: str
    number: int
    digits: int
    suffix: str


def number_of(name: str) -> NumberedName | None:
    """The parts of a numbered frame's name; None for any other name."""
    match = _NUMBERED.fullmatch(name)
    if match is None or match[3].lower() not in SEQUENCE_SUFFIXES:
        return None
    return NumberedName(match[1], int(match[2]), len(match[2]), match[3])


def find_sequence(folder: Path) -> SequencePattern:
    """The one numbered sequence in a folder.

    Raises ``UnreadableFilm``: ``"empty"`` if there is no numbered frame, ``"missing_frames"`` if a number is
    missing, ``"unsupported"`` if there are two sequences; ``"unreadable"`` if the folder cannot be listed.
    """
    name = path_to_text(folder)
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UnreadableFilm(f"folder {name} cannot be listed ({reason}); check that it may be read") from error
    groups: dict[tuple[str, str], dict[int, int]] = {}
    for entry in names:
        numbered = number_of(entry)
        if numbered is None:
            continue
        group = groups.setdefault((numbered.prefix, numbered.suffix), {})
        if numbered.number in group:
            raise UnreadableFilm(
                f"folder {name} holds two frames numbered {numbered.number}; keep one of them", "unsupported"
            )
        group[numbered.number] = numbered.digits
    if not groups:
        raise UnreadableFilm(
            f"folder {name} holds no numbered DPX or TIFF frame; name the frames like frame000001.dpx", "empty"
        )
    if len(groups) > 1:
        kinds = " and ".join(f"{prefix}*{suffix}" for prefix, suffix in sorted(groups)[:3])
        raise UnreadableFilm(
            f"folder {name} holds more than one sequence ({kinds}); put each in a folder of its own", "unsupported"
        )
    (((prefix, suffix), numbers),) = groups.items()
    return _pattern(folder, prefix, suffix, numbers)


def _pattern(folder: Path, prefix: str, suffix: str, numbers: dict[int, int]) -> SequencePattern:
    name = path_to_text(folder)
    first, last = min(numbers), max(numbers)
    if len(numbers) != last - first + 1:
        gap = next(number for number in range(first, last) if number not in numbers)
        raise UnreadableFilm(
            f"folder {name} lacks frame {gap} of {first} to {last} ({last - first + 1 - len(numbers)} missing in all); "
            "copy the missing frames again",
            "missing_frames",
        )
    digits = numbers[first]
    if any(width != max(digits, len(str(number))) for number, width in numbers.items()):
        raise UnreadableFilm(
            f"folder {name} numbers its frames with differing numbers of digits; rename them alike", "unsupported"
        )
    if last >= 1 << 31:  # ffmpeg counts in 32 bits
        raise UnreadableFilm(f"folder {name} has frame numbers up to {last}; renumber them from 1", "unsupported")
    return SequencePattern(folder, prefix, digits, suffix, first, len(numbers))


def sequence_address(pattern: SequencePattern) -> str:
    """The pattern under which ffmpeg's image2 reads the frames."""
    start = str((pattern.folder / pattern.prefix).absolute()).replace("%", "%%")
    if not pattern.prefix:
        start = str(pattern.folder.absolute()).replace("%", "%%") + os.sep
    return f"{start}%0{pattern.digits}d{pattern.suffix}"
