"""The Colorizer: pictures in, pictures out. Keeps the target's own luminance, size and bit depth."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Self

import numpy as np
import torch
from numpy.typing import DTypeLike, NDArray
from PIL import Image
from torch import Tensor

from sscn import colour
from sscn.allocator import keep_freed_memory
from sscn.chroma_planes import ChromaGrid, ChromaPlanes
from sscn.colorized import ColorizedPicture, ColorizedRows, shown_size, stored, upright
from sscn.errors import SscnError
from sscn.film import FilmColorizer
from sscn.finishing import chroma_model, reduced_y
from sscn.inference import exact, reducing_factor, resized, working_size
from sscn.local_detail import Attention, Keys
from sscn.network import NETWORK_VERSION
from sscn.pictures import Picture, Rows, as_picture, as_rows
from sscn.pretrained import EncodedReference, Network, load_network
from sscn.rgb_space import SRGB, RgbSpace
from sscn.video import SampleCoding


@dataclass(frozen=True)
class ColorizationResult:
    """One colorized picture."""

    rgb: Picture
    """sRGB (H, W, 3), the target's size and dtype; its luminance is the target's own."""
    confidence: NDArray[np.float32]
    """(H, W), 0..1: how far the reference had a match for each place."""
    seconds: Mapping[str, float]
    """Seconds spent in ``network`` (features, matching, fusion) and ``chroma`` (bringing chroma to full size)."""

    @property
    def mean_confidence(self) -> float:
        """Mean of ``confidence`` over the picture, 0..1."""
        return float(self.confidence.mean())


class Colorizer:
    """Colorizes grey, sepia or faded pictures after a colour reference.

    Deterministic: on one kind of machine with the same number of threads the same pixels come out every time. (With
    another number of threads a few samples in 100,000 differ by one level, as sums are taken in another order.)

    Made by ``from_pretrained``. Pictures are PIL images or ndarrays (H, W) or (H, W, 3), uint8 or uint16, sRGB.
    """

    def __init__(self, network: Network, *, device: torch.device, size: int, weights_digest: str) -> None:
        self._network = network
        self._device = device
        self._size = size
        self.weights_sha256 = weights_digest
        """Identifies the weights in use, 64 hex digits."""

    @classmethod
    def from_pretrained(
        cls,
        name: str = "default",
        *,
        device: str = "cpu",
        attention: Attention = "sparse",
        size: int = 512,
        keys: Keys = "routed",
        weights: Path | None = None,
    ) -> Self:
        """Load a shipped preset. On the CPU the process keeps memory it frees (``sscn.allocator``).

        Args:
            name: the preset: ``default``, or ``paper`` with weights of one's own.
            device: ``cpu``, ``cuda`` or ``cuda:N``.
            attention: ``sparse`` (routed) or ``dense``.
            size: long side, in pixels, at which the network works; smaller pictures are not enlarged.
            keys: of sparse attention: ``routed``, or ``cam`` for the paper's choice (to compare with).
            weights: what ``archive-colorizer train`` wrote; None for the shipped weights.

        Raises:
            SscnError: unknown preset, attention, keys or device, size too small, weights missing or damaged.
        """
        network, digest = load_network(name, attention=attention, keys=keys, weights=weights)
        if size < network.minimum_size:
            raise SscnError(f"a working size of {size} pixels is too small; {network.minimum_size} is the least")
        chosen = _device(device)
        if chosen.type == "cpu":
            keep_freed_memory()
        network = network.to(chosen, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return cls(network, device=chosen, size=size, weights_digest=digest)

    @property
    def device(self) -> str:
        """Where the network runs, e.g. ``cpu`` or ``cuda:0``."""
        return str(self._device)

    @property
    def precision(self) -> str:
        """Number format of the network's arithmetic."""
        return "float32"

    @property
    def parameters(self) -> Mapping[str, str | int | float]:
        """Everything besides weights and pictures that changes pixels."""
        knobs = {
            name: _text(value) if isinstance(value, tuple) else value
            for name, value in asdict(self._network.preset).items()
            if name != "name"
        }
        return MappingProxyType(
            {
                "preset": self._network.preset.name,
                "network": NETWORK_VERSION,
                "attention": self._network.attention,
                "keys": self._network.keys,
                "size": self._size,
                **knobs,
            }
        )

    @torch.inference_mode()
    def encode_reference(self, image: Image.Image | Picture) -> EncodedReference:
        """Look at a colour reference once, for any number of targets.

        Raises:
            SscnError: not a picture.
        """
        picture = as_picture(image, "reference")
        lab = self._at_working_size(colour.linear_to_lab(self._reduced(picture))[None], picture)
        with exact():
            return self._network.encode_reference(lab.to(self._device))

    def colorize(self, target: Image.Image | Picture, reference: EncodedReference) -> ColorizationResult:
        """Colorize ``target`` with the reference's colours.

        Raises:
            SscnError: not a picture, or a reference that another preset encoded.
        """
        predicted = self.predict(as_picture(target), reference)
        rgb: Picture = predicted.rows[:]
        started = time.perf_counter()
        maps = torch.from_numpy(predicted.confidence)[None, None]
        confidence = resized(maps, (rgb.shape[0], rgb.shape[1]))[0, 0].numpy()
        seconds = dict(predicted.seconds)
        seconds["chroma"] += time.perf_counter() - started
        return ColorizationResult(rgb, confidence, MappingProxyType(seconds))

    @torch.inference_mode()
    def predict(
        self,
        target: Image.Image | Rows,
        reference: EncodedReference,
        *,
        orientation: int = 1,
        space: RgbSpace = SRGB,
        copy_space: RgbSpace = SRGB,
        dtype: DTypeLike | None = None,
    ) -> ColorizedPicture:
        """Find colours for ``target``; the copy is made by rows, when they are asked for.

        Args:
            target: PIL image, ndarray, or what gives rows when asked, (H, W) or (H, W, 3), uint8 or uint16. It is read
                once here, in bands, and again when rows are made.
            reference: from ``encode_reference``.
            orientation: Exif's, 1..8, of the target's rows; the copy's rows lie as the target's do.
            space: what the target's samples mean; of a grey target the curve.
            copy_space: what the copy's samples are to mean.
            dtype: of the copy, uint8 or uint16; None: the target's.

        Raises:
            SscnError: not a picture, no such orientation or depth, or a reference that another preset encoded.
        """
        self._check(reference)
        started = time.perf_counter()
        rows = as_rows(target)
        depth = rows.dtype if dtype is None else np.dtype(dtype)
        if depth not in (np.uint8, np.uint16):
            raise SscnError(f"a copy has samples of 8 or 16 bit unsigned, not {depth}")
        size = shown_size(rows.shape, orientation)
        y = upright(reduced_y(rows, space, reducing_factor(*size, self._size)), orientation)
        shape = working_size(*size, self._size, self._network.minimum_size)
        luminance = resized(colour.lightness(y)[None], shape)
        with exact():
            answer = self._network(luminance.to(self._device), reference)
        knobs = self._network.preset
        model = chroma_model(
            luminance, answer.ab.cpu(), knobs.edge_radius, knobs.edge_epsilon, follow_edges=shape != size
        )
        confidence = answer.confidence[0, 0].cpu().numpy()
        networked = time.perf_counter()
        copy = ColorizedRows(rows, space, stored(model, orientation).numpy(), copy_space, depth)
        seconds = networked - started
        return ColorizedPicture(copy, confidence, size, model, (rows, space, orientation), y, seconds)

    def colorize_batch(
        self, targets: Sequence[Image.Image | Picture], reference: EncodedReference
    ) -> list[ColorizationResult]:
        """Colorize several targets after one reference; each result equals that of ``colorize`` bit for bit."""
        return [self.colorize(target, reference) for target in targets]

    def film(
        self,
        reference: EncodedReference,
        coding: SampleCoding,
        *,
        across: int = 2,
        down: int = 2,
        siting: str = "left",
        steady: bool = True,
    ) -> FilmColorizer:
        """What colorizes the frames of one shot of a film, one after the other.

        Args:
            reference: from ``encode_reference``.
            coding: of the film's planes, luma and chroma alike.
            across: luma samples for each chroma sample in a row: 1, 2 or 4.
            down: likewise in a column.
            siting: of the chroma samples: ``left``, ``center`` or ``topleft``.
            steady: carry colour over from frame to frame; else each one is colorized for itself.

        Raises:
            SscnError: a reference that another preset encoded, or chroma that is not handled.
        """
        self._check(reference)
        planes = ChromaPlanes(coding, ChromaGrid(across, down, siting))
        return FilmColorizer(self._network, reference, planes, device=self._device, size=self._size, steady=steady)

    def _check(self, reference: EncodedReference) -> None:
        if not isinstance(reference, self._network.reference_type):
            raise SscnError("the reference was encoded by another preset; encode it with this colorizer")

    def _reduced(self, picture: Picture) -> Tensor:
        """Linear light (1 or 3, h, w) of the picture, a huge one first brought near twice the working size."""
        return colour.reduced_linear(picture, reducing_factor(picture.shape[0], picture.shape[1], self._size))

    def _at_working_size(self, maps: Tensor, picture: Picture) -> Tensor:
        """(1, C, h, w) -> the picture's shape with a long side of at most ``size``, no side under the stride."""
        least = self._network.minimum_size
        return resized(maps, working_size(picture.shape[0], picture.shape[1], self._size, least))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SscnError(f"there is no device called {name}; choose cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise SscnError(f"the device {name} is not supported; choose cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise SscnError(f"the device {name} is not there ({torch.cuda.device_count()} CUDA devices found); choose cpu")
    return torch.device("cuda", device.index or 0) if device.type == "cuda" else device


def _text(values: tuple[object, ...]) -> str:
    """Values with blanks between; the members of a pair with a colon."""
    return " ".join(":".join(map(str, value)) if isinstance(value, tuple) else str(value) for value in values)
