"""Sparse against dense attention: seconds and memory of the whole network, its reference already encoded.

Each line is measured in a process of its own, so that peak memory is its alone; all in one run, so that ratios hold on
any machine. The pictures are two of the demo archive's photographs, brought to size.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import Tensor

    from sscn.local_detail import Attention

SIZES = (256, 512, 1024)
PICTURES = ("mountains-picos-de-europa", "mountain-pasture-aitzgorri")
"""Target and reference: two of the demo's photographs."""
_REPEATS = 12
_ENOUGH_SECONDS = 20.0
"""A slow case is repeated no more once it has taken so long in all."""


@dataclass(frozen=True, slots=True)
class AttentionFigures:
    """One size with one kind of attention."""

    size: int
    """Side of the square pictures in pixels."""
    attention: str
    seconds: float
    """The whole network for one picture: the least of several runs, as other work on the machine only ever adds."""
    matching_seconds: float
    """Of these, fine matching and warp, likewise."""
    peak_bytes: int
    """Peak memory of the network's work: on CUDA as allocated; on the CPU the growth of the process."""
    dense_map_bytes: int
    """What all similarities would take at once in float32."""
    pairs: float
    """Part of them that is computed."""


def measure_attention(sizes: Sequence[int], device: str) -> list[AttentionFigures]:
    """Dense and sparse at each size, each in a process of its own."""
    figures = []
    for size in sizes:
        for attention in ("dense", "sparse"):
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                figures.append(pool.apply(_measure, (size, attention, device)))
    return figures


def _measure(size: int, attention: "Attention", device: str) -> AttentionFigures:
    import torch

    from sscn.allocator import keep_freed_memory
    from sscn.matching import resize
    from sscn.pretrained import load_network

    if device == "cpu":  # as the Colorizer does
        keep_freed_memory()
    network, _ = load_network("default", attention=attention)
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    target, reference = (_lab(name, size).to(device) for name in PICTURES)
    luminance = target[:, :1]
    with torch.inference_mode():
        network(resize(luminance, (64, 64)), network.encode_reference(resize(reference, (64, 64))))  # libraries load
        encoded = network.encode_reference(reference)
        peak = _peak_of(lambda: network(luminance, encoded), device)
        seconds = _least(lambda: network(luminance, encoded), device)
        features = network.extract(luminance)
        matching = _least(lambda: network.transfer(features, luminance, encoded), device)
        pairs = network.local_detail.share_of_pairs(features.fine, encoded.fine)
    places = features.fine.shape[-2] * features.fine.shape[-1]
    return AttentionFigures(size, attention, seconds, matching, peak, 4 * places * places, pairs)


def _lab(name: str, size: int) -> "Tensor":
    """A bundled photograph as Lab (1, 3, size, size)."""
    from sscn import colour

    with as_file(files("flows") / "demo" / "references" / f"{name}.jpg") as path, Image.open(path) as opened:
        picture = opened.convert("RGB").resize((size, size), Image.Resampling.LANCZOS)
    return colour.lab(np.asarray(picture))[None]


def _peak_of(work: Callable[[], object], device: str) -> int:
    """Bytes that ``work`` takes at its peak beyond what was taken before."""
    import torch

    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        work()
        return torch.cuda.max_memory_allocated(device) - before
    from sscn.allocator import return_freed_memory

    return_freed_memory()
    with Path("/proc/self/clear_refs").open("w") as file:  # 5: the peak begins anew
        file.write("5")
    before = _status("VmRSS")
    work()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    """A line of /proc/self/status in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _least(work: Callable[[], object], device: str) -> float:
    import torch

    seconds: list[float] = []
    while len(seconds) < _REPEATS and sum(seconds) < _ENOUGH_SECONDS:
        began = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
