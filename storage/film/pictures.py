"""Single frames as pictures to look at: in colour and in grey, as a player shows them, made small."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from storage.film.decoder import decoding
from storage.film.facts import probe

Picture8 = npt.NDArray[np.uint8]


def read_pictures(path: Path, numbers: Sequence[int], long_side: int) -> Iterator[tuple[int, Picture8, Picture8]]:
    """The numbered frames (from 0, in rising order): number, colour (h, w, 3) and luma (h, w), both 0 to 255.

    They are at most ``long_side`` pixels wide or high, their pixels square. The film is decoded once from its start.
    Raises ``UnreadableFilm`` if a frame is not there.
    """
    facts = probe(path)
    height, width = _shown_size(facts.height, round(facts.width * facts.sample_aspect), long_side)
    chosen = "+".join(f"eq(n\\,{number})" for number in numbers)
    range_name, matrix = "full" if facts.full_range else "limited", facts.matrix if facts.subsampling != "rgb" else ""
    incoming = f":in_range={range_name}:in_color_matrix={_SCALE_MATRICES.get(matrix, 'auto')}"
    chain = f"select='{chosen}',scale={width}:{height}:flags=area{incoming}:out_range=full,format=gbrp"
    output = ["-map", f"0:{facts.video_index}", "-vf", chain, "-frames:v", str(len(numbers))]
    output += ["-fps_mode", "passthrough", "-f", "rawvideo", "pipe:1"]
    with decoding(path, facts, output) as decoder:
        for number in numbers:
            data = bytearray(3 * height * width)
            if decoder.fill(memoryview(data)) < len(data):
                raise decoder.broken_off(number + 1)
            green, blue, red = np.frombuffer(data, np.uint8).reshape(3, height, width)
            colour = np.dstack([red, green, blue])
            luma = (colour @ np.array([0.2126, 0.7152, 0.0722], np.float32) + 0.5).astype(np.uint8)
            decoder.decoded += 1
            yield number, colour, luma


# The matrices that ffmpeg's scaler knows by other names than its streams.
_SCALE_MATRICES = {
    "bt709": "bt709", "smpte170m": "smpte170m", "bt470bg": "bt470bg", "smpte240m": "smpte240m", "fcc": "fcc",
    "bt2020nc": "bt2020",
}  # fmt: skip


def _shown_size(height: int, width: int, long_side: int) -> tuple[int, int]:
    scale = min(1.0, long_side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))
