"""Film: the frames of one shot after one reference, straight to chroma planes."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sscn import colour
from sscn.chroma_planes import ChromaPlanes
from sscn.errors import SscnError
from sscn.inference import exact, reducing_factor, resized, working_size
from sscn.matching import half_size, resize
from sscn.motion import motion
from sscn.network import PredictedChroma
from sscn.pretrained import EncodedReference, Network
from sscn.steadying import Held, begun, steadied
from sscn.video import Samples

FILM_VERSION = 1
"""Raised with every change of the arithmetic behind the network that changes a film's pixels (``NETWORK_VERSION`` tells
of the network's own)."""
STILL = 2.0
"""L*: what changes less than that from frame to frame holds still."""
_AT_ONCE = 16
"""Frames that a CUDA device takes at a time. On the CPU one by one is fastest, and cuts between calls do not matter."""
_STATE = ("chroma", "weight", "luminance")


@dataclass(frozen=True)
class ColorizedFrame:
    """The colour of one frame."""

    chroma_blue: Samples
    """Cb, (H / down, W / across), sizes rounded up; uint8, or uint16 beyond 8 bits."""
    chroma_red: Samples
    """Cr, likewise."""
    confidence: float
    """0..1: how far the reference had a match, on average."""
    flicker: float | None
    """Mean absolute change of a* and b* since the frame before where the luminance held still; None for the first
    frame and where nothing did."""


class FilmColorizer:
    """Colorizes the frames of one shot, in their order. Made by ``Colorizer.film``.

    What comes out does not depend on how many frames each call brings (on CUDA but for the last bits of float32).
    """

    def __init__(
        self,
        network: Network,
        reference: EncodedReference,
        planes: ChromaPlanes,
        *,
        device: torch.device,
        size: int,
        steady: bool,
    ) -> None:
        self._network = network
        self._reference = reference
        self._planes = planes
        self._device = device
        self._size = size
        self._steady = steady
        self._light = torch.from_numpy(planes.coding.light_table()).to(device)
        self._lightness = torch.from_numpy(planes.coding.lightness_table()).to(device)
        self._before: Held | None = None
        self._frame_size: tuple[int, ...] | None = None
        self._seconds = dict.fromkeys(("network", "motion", "chroma"), 0.0)

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds spent so far in ``network``, ``motion`` (with the steadying) and ``chroma`` (luma in, planes out)."""
        return MappingProxyType(self._seconds)

    @torch.inference_mode()
    def colorize(self, lumas: Sequence[Samples]) -> list[ColorizedFrame]:
        """Colorize the next frames of the shot.

        Args:
            lumas: luma planes (H, W), uint8 for 8 bits, else uint16; all of the shot of one size.

        Raises:
            SscnError: a plane of another size or type than the shot's.
        """
        for luma in lumas:
            self._check(luma)
        at_once = _AT_ONCE if self._device.type == "cuda" else 1
        done: list[ColorizedFrame] = []
        for begin in range(0, len(lumas), at_once):
            done += self._batch(lumas[begin : begin + at_once])
        return done

    def state(self) -> dict[str, NDArray[np.float32]]:
        """All that the next frame depends on; empty before the first one."""
        if self._before is None:
            return {}
        return {name: maps[0].cpu().numpy().copy() for name, maps in zip(_STATE, self._before, strict=True)}

    def restore(self, state: Mapping[str, NDArray[np.float32]]) -> None:
        """Go on where another ``FilmColorizer`` of the same settings was when it gave this state.

        Raises:
            SscnError: it is not such a state.
        """
        if not state:
            self._before = None
            return
        maps = [torch.from_numpy(np.array(state[name], np.float32))[None] for name in _STATE if name in state]
        if len(maps) != 3 or any(m.ndim != 4 for m in maps) or [m.shape[1] for m in maps] != [2, 1, 1]:
            raise SscnError("the saved state of the film's colours is damaged; colorize its shot from the beginning")
        self._before = Held(*[m.to(self._device) for m in maps])

    def _check(self, luma: Samples) -> None:
        wanted = np.uint8 if self._planes.coding.bit_depth == 8 else np.uint16
        if luma.ndim != 2 or 0 in luma.shape or luma.dtype != wanted:
            raise SscnError(
                f"a frame's luma is {luma.dtype} of the shape {luma.shape}; "
                f"{np.dtype(wanted)} of the shape (height, width) is needed"
            )
        if self._frame_size is None:
            self._frame_size = luma.shape
        if luma.shape != self._frame_size:
            raise SscnError(f"a frame's luma has the shape {luma.shape}, the shot's first one {self._frame_size}")

    def _batch(self, lumas: Sequence[Samples]) -> list[ColorizedFrame]:
        started = time.perf_counter()
        planes = [torch.from_numpy(luma.astype(np.int32))[None] for luma in lumas]
        samples = (planes[0] if len(planes) == 1 else torch.cat(planes)).to(self._device)
        luminance = self._luminance(samples)
        even = luminance.shape[-2] % 2 == luminance.shape[-1] % 2 == 0
        half = F.avg_pool2d(luminance, 2) if even else resize(luminance, half_size(luminance))  # the one is faster
        self._sync()
        looked = time.perf_counter()
        with exact():
            answer = self._network.at_half_size(luminance, self._reference)  # type: ignore[arg-type] # of its kind
        self._sync()
        networked = time.perf_counter()
        shown, flickers = [], []
        for n in range(len(lumas)):
            now = PredictedChroma(answer.ab[n : n + 1], answer.confidence[n : n + 1])
            held = self._held(now, half[n : n + 1])
            flickers.append(_flicker(held, self._before))
            shown.append(held.ab)
            self._before = held
        self._sync()
        moved = time.perf_counter()
        chroma = self._planes.of(samples, half, torch.cat(shown)).cpu().numpy().astype(lumas[0].dtype)
        confidences = answer.confidence.mean(dim=(1, 2, 3)).tolist()
        ended = time.perf_counter()
        self._seconds["network"] += networked - looked
        self._seconds["motion"] += moved - networked
        self._seconds["chroma"] += looked - started + ended - moved
        return [
            ColorizedFrame(blue, red, confidence, flicker)
            for (blue, red), confidence, flicker in zip(chroma, confidences, flickers, strict=True)
        ]

    def _sync(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)

    def _luminance(self, samples: Tensor) -> Tensor:
        """L* at the working size, as stills have it: int32 (N, H, W) -> (N, 1, h, w)."""
        height, width = samples.shape[-2:]
        factor = reducing_factor(height, width, self._size)
        if factor == 1:
            maps = self._lightness.index_select(0, samples.flatten()).view(-1, 1, height, width)
        else:
            light = self._light.index_select(0, samples.flatten()).view(-1, 1, height, width)
            maps = colour.lightness(F.avg_pool2d(light, factor, ceil_mode=True))
        return resized(maps, working_size(height, width, self._size, self._network.minimum_size))

    def _held(self, now: PredictedChroma, luminance: Tensor) -> Held:
        if self._before is not None and self._before.luminance.shape != luminance.shape:
            raise SscnError("the saved state of the film's colours is of another size; colorize its shot anew")
        if self._before is None or not self._steady:
            return begun(now, luminance)
        found = motion(*[frame[0, 0].cpu().numpy() for frame in (luminance, self._before.luminance)])
        return steadied(now, luminance, self._before, torch.from_numpy(found)[None].to(self._device))


def _flicker(now: Held, before: Held | None) -> float | None:
    if before is None:
        return None
    still = (now.luminance - before.luminance).abs() < STILL
    count = int(still.sum())
    if count == 0:
        return None
    return float(((now.ab - before.ab).abs() * still).sum()) / (2 * count)
