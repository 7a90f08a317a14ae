"""The one digest by which a film is known."""

import hashlib
from pathlib import Path

from storage.film.sequence import find_sequence
from storage.fixity import sha256_file
from storage.paths import path_to_text


def film_sha256(path: Path) -> str:
    """The SHA-256 of a film: of a file its own; of a folder of frames that of the list which ``sha256sum`` prints.

    Each line of the list is a frame's SHA-256, two blanks and the frame's name, in the order of their numbers. Raises
    ``OSError`` if a file cannot be read, ``UnreadableFilm`` for a folder that is not one whole sequence.
    """
    if not path.is_dir():
        return sha256_file(path)
    pattern = find_sequence(path)
    listing = hashlib.sha256()
    for number in range(pattern.first, pattern.first + pattern.count):
        frame = pattern.path(number)
        listing.update(f"{sha256_file(frame)}  {path_to_text(frame.name)}\n".encode())
    return listing.hexdigest()
