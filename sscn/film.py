"""Film: the frames of one shot after one reference, straight to chroma planes."""

import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from types import MappingProxyType
from typing import NamedTuple

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
"""Frames that a CUDA device takes at a time."""
_MOST_THREADS = 8
"""Frames that a CPU works on at a time, at most: each in a thread of its own, as the network's many small steps gain
little from several threads for one frame. So the number of cores does not decide about the last bits either."""
_STATE = ("chroma", "weight", "luminance")


@dataclass(frozen=True)
class ColorizedFrame:
    """The colour of one frame."""

    luma: Samples
    """Its own, (H, W), as it was given."""
    chroma_blue: Samples
    """Cb, (H / down, W / across), sizes rounded up; uint8, or uint16 beyond 8 bits."""
    chroma_red: Samples
    """Cr, likewise."""
    confidence: float
    """0..1: how far the reference had a match, on average."""
    flicker: float | None
    """Mean absolute change of a* and b* since the frame before where the luminance held still; None for the first
    frame and where nothing did."""


class _Seen(NamedTuple):
    """What the network says about N frames, and how they have moved."""

    lumas: Sequence[Samples]
    samples: Tensor
    """int32 (N, H, W)."""
    luminance: Tensor
    """L* at half the working size, (N, 1, h, w)."""
    answer: PredictedChroma
    motions: Sequence[Tensor | None]
    """Of each since the frame before, (1, 2, h, w)."""


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
        self._counting = threading.Lock()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds spent so far in ``network``, ``motion`` (with the steadying) and ``chroma`` (luma in, planes out),
        all threads together."""
        return MappingProxyType(self._seconds)

    def colorize(self, lumas: Sequence[Samples]) -> list[ColorizedFrame]:
        """Colorize the next frames of the shot.

        Args:
            lumas: luma planes (H, W), uint8 for 8 bits, else uint16; all of the shot of one size.

        Raises:
            SscnError: a plane of another size or type than the shot's.
        """
        return list(self.stream(lumas))

    def stream(self, lumas: Iterable[Samples]) -> Generator[ColorizedFrame, None, None]:
        """Colorize the next frames of the shot one after the other, as ``colorize`` does.

        Some of ``lumas`` are taken ahead of the frames that come out; ``state`` is that after the last of these.
        """
        for seen in self._looks(lumas):
            yield from self._finished(seen)

    def predictions(self, lumas: Iterable[Samples]) -> Iterator[PredictedChroma]:
        """The network's own answers alone, (1, ., H / 2, W / 2) of the working size: nothing is carried on."""
        for seen in self._looks(lumas):
            yield from (
                PredictedChroma(*pair) for pair in zip(*(torch.split(maps, 1) for maps in seen.answer), strict=True)
            )

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

    def _looks(self, lumas: Iterable[Samples]) -> Iterator[_Seen]:
        """What the network says, some frames ahead: on CUDA in batches, on the CPU one frame a thread."""
        at_once, threads = (_AT_ONCE, 1) if self._device.type == "cuda" else (1, torch.get_num_threads())
        workers = min(threads, _MOST_THREADS)
        before = self._before.luminance if self._before is not None else None
        waiting: deque[Future[_Seen]] = deque()
        source = iter(lumas)
        pool = ThreadPoolExecutor(workers, "network", initializer=partial(torch.set_num_threads, 1))
        try:
            while batch := list(islice(source, at_once)):
                samples, whole, half = self._prepared(batch)
                if before is not None and before.shape[-2:] != half.shape[-2:]:
                    raise SscnError("the saved state of the film's colours is of another size; colorize its shot anew")
                waiting.append(pool.submit(self._look, batch, samples, whole, half, before))
                before = half[-1:]
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads if self._device.type == "cpu" else torch.get_num_threads())

    @torch.inference_mode()
    def _prepared(self, lumas: Sequence[Samples]) -> tuple[Tensor, Tensor, Tensor]:
        """Samples, int32 (N, H, W), and their L* at the working size and at half of it, (N, 1, ., .)."""
        started = time.perf_counter()
        for luma in lumas:
            self._check(luma)
        planes = [torch.from_numpy(luma.astype(np.int32))[None] for luma in lumas]
        samples = (planes[0] if len(planes) == 1 else torch.cat(planes)).to(self._device)
        luminance = self._luminance(samples)
        even = luminance.shape[-2] % 2 == luminance.shape[-1] % 2 == 0
        half = F.avg_pool2d(luminance, 2) if even else resize(luminance, half_size(luminance))  # the one is faster
        self._sync()
        with self._counting:
            self._seconds["chroma"] += time.perf_counter() - started
        return samples, luminance, half

    @torch.inference_mode()
    def _look(
        self, lumas: Sequence[Samples], samples: Tensor, whole: Tensor, half: Tensor, before: Tensor | None
    ) -> _Seen:
        started = time.perf_counter()
        with exact():
            answer = PredictedChroma(*self._network.at_half_size(whole, self._reference))  # type: ignore[arg-type]
        self._sync()
        networked = time.perf_counter()
        motions = self._motions(half, before) if self._steady else [None] * len(lumas)
        with self._counting:
            self._seconds["network"] += networked - started
            self._seconds["motion"] += time.perf_counter() - networked
        return _Seen(lumas, samples, half, answer, motions)

    def _motions(self, half: Tensor, before: Tensor | None) -> list[Tensor | None]:
        frames = [frame[0, 0].cpu().numpy() for frame in (*([] if before is None else [before]), *torch.split(half, 1))]
        found = [torch.from_numpy(motion(now, then))[None].to(self._device) for then, now in pairwise(frames)]
        return [*([None] if before is None else []), *found]

    def _finished(self, seen: _Seen) -> Iterator[ColorizedFrame]:
        helds, flickers, planes, confidences = self._steadied(seen)
        for luma, held, flicker, (blue, red), confidence in zip(
            seen.lumas, helds, flickers, planes, confidences, strict=True
        ):
            self._before = held
            yield ColorizedFrame(luma, blue, red, confidence, flicker)

    @torch.inference_mode()
    def _steadied(self, seen: _Seen) -> tuple[list[Held], list[float | None], NDArray[np.generic], list[float]]:
        """Of each frame: what is held, flicker, chroma planes (N, 2, h, w), confidence."""
        started = time.perf_counter()
        before = self._before
        helds: list[Held] = []
        flickers: list[float | None] = []
        for n, moved in enumerate(seen.motions):
            now = PredictedChroma(seen.answer.ab[n : n + 1], seen.answer.confidence[n : n + 1])
            light = seen.luminance[n : n + 1]
            held = begun(now, light) if before is None or moved is None else steadied(now, light, before, moved)
            flickers.append(_flicker(held, before))
            helds.append(held)
            before = held
        self._sync()
        shown = time.perf_counter()
        chroma = self._planes.of(seen.samples, seen.luminance, torch.cat([held.ab for held in helds]))
        planes = chroma.cpu().numpy().astype(seen.lumas[0].dtype)
        confidences = seen.answer.confidence.mean(dim=(1, 2, 3)).tolist()
        with self._counting:
            self._seconds["motion"] += shown - started
            self._seconds["chroma"] += time.perf_counter() - shown
        return helds, flickers, planes, confidences

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


def _flicker(now: Held, before: Held | None) -> float | None:
    if before is None:
        return None
    still = (now.luminance - before.luminance).abs() < STILL
    count = int(still.sum())
    if count == 0:
        return None
    return float(((now.ab - before.ab).abs() * still).sum()) / (2 * count)
