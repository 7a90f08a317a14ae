"""Which folders are films: numbered frames, told from numbered photographs and pages by how they follow each other."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from statistics import median

import numpy as np
import numpy.typing as npt
from PIL import Image

from storage.errors import StorageError
from storage.film.sequence import number_of
from storage.images import read_master

FEWEST_FRAMES = 12
"""Fewer numbered TIFF pictures are taken for photographs."""
_PLACES = 6
_THUMBNAIL = 64
# Neighbours differ by no more than grain (in units of the pictures' own contrast), or by much less than pictures far
# apart do. Pages of one book, cards of one file and photographs of one album differ as much from the next as from any.
_STILL = 0.05
_MUCH_LESS = 0.4


def frames_of_films(files: Iterable[Path], is_film: Callable[[Path], bool]) -> dict[Path, list[Path]]:
    """Those of ``files`` that are the frames of films, by folder; each folder's in the order of their numbers.

    Numbered DPX files are always film, and so are numbered TIFF files in a folder that ``is_film`` knows for one.
    Others are film if there are at least ``FEWEST_FRAMES`` of one name in the folder and neighbours look alike, as the
    moments of a film do. Frames that cannot be read count as unlike.
    """
    groups: dict[Path, dict[tuple[str, str], list[tuple[int, Path]]]] = defaultdict(lambda: defaultdict(list))
    for file in files:
        if (numbered := number_of(file.name)) is not None:
            groups[file.parent][numbered.prefix, numbered.suffix].append((numbered.number, file))
    films: dict[Path, list[Path]] = {}
    for folder, by_name in groups.items():
        for (_, suffix), members in by_name.items():
            frames = [file for _, file in sorted(members)]
            is_sure = suffix.lower() == ".dpx" or is_film(folder)
            if is_sure or (len(frames) >= FEWEST_FRAMES and _follow_each_other(frames)):
                films.setdefault(folder, []).extend(frames)
    return films


def _follow_each_other(frames: Sequence[Path]) -> bool:
    starts = np.linspace(0, len(frames) - 2, _PLACES).astype(int).tolist()
    pairs = [(_thumbnail(frames[start]), _thumbnail(frames[start + 1])) for start in dict.fromkeys(starts)]
    seen = [(one, other) for one, other in pairs if one is not None and other is not None and one.shape == other.shape]
    if len(seen) < len(pairs) / 2:
        return False
    near = median(_difference(one, other) for one, other in seen)
    firsts = [one for one, _ in seen]
    same_size = all(one.shape == other.shape for one, other in pairwise(firsts))
    if not same_size:
        return False
    far = median([_difference(one, other) for one, other in combinations(firsts, 2)] or [0.0])
    return near <= max(_STILL, _MUCH_LESS * far)


def _thumbnail(file: Path) -> npt.NDArray[np.float32] | None:
    """A small grey picture (h, w) of mean 0 and deviation 1; None if the file cannot be read."""
    try:
        pixels = read_master(file).pixels
    except (StorageError, OSError):
        return None
    grey = pixels.astype(np.float32) if pixels.ndim == 2 else pixels.astype(np.float32).mean(axis=2)
    height, width = grey.shape
    scale = _THUMBNAIL / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX))
    deviation = float(small.std())
    normal: npt.NDArray[np.float32] = (small - small.mean()) / (deviation or 1.0)
    return normal


def _difference(one: npt.NDArray[np.float32], other: npt.NDArray[np.float32]) -> float:
    return float(np.abs(one - other).mean())
