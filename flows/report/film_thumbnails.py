"""The pictures of a film's shots in the gallery: one frame of each, grey and in colour."""

from collections.abc import Mapping
from pathlib import Path

from flows.report.thumbnails import LONG_SIDE, ThumbnailFolder, write_thumbnail
from storage.film import read_pictures


def write_shot_thumbnails(film: Path, shots: Mapping[int, int], thumbnails: ThumbnailFolder, item_id: int) -> None:
    """Write the thumbnails of shots, from the colorized film or a segment of it.

    The grey one is its luma, which is the master's own.

    Args:
        film: a file in colour.
        shots: number of a frame in the file -> number of the shot that it stands for.

    Raises:
        UnreadableFilm: it cannot be read.
    """
    for number, colour, grey in read_pictures(film, sorted(shots), LONG_SIDE):
        write_thumbnail(thumbnails.grey(item_id, shots[number]), grey)
        write_thumbnail(thumbnails.colour(item_id, shots[number]), colour)
