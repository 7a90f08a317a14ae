"""The rows of the comparison: what colorizes, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sscn.colorizer import Colorizer
from sscn.efficientnet import load_efficientnet
from sscn.errors import SscnError
from sscn.evaluation.baselines import Colorize, TrainingFreeWarp, grey, histogram_transfer
from sscn.evaluation.pictures8 import Picture8

Row = Literal["grey", "histogram", "warp", "sparse", "dense"]
ROWS: tuple[Row, ...] = ("grey", "histogram", "warp", "sparse", "dense")


@dataclass(frozen=True)
class Method:
    """One way to colorize."""

    name: str
    after: Callable[[Picture8], Colorize]
    """Looks at a reference once, sRGB uint8 (H, W, 3), and answers with what colorizes after it."""
    weights_sha256: str | None = None
    parameters: dict[str, str | int | float] | None = None


def chosen_rows(names: Sequence[str]) -> list[Row]:
    """The named ones out of ``ROWS``, in that order.

    Raises:
        SscnError: one is unknown, or none is named.
    """
    unknown = [name for name in names if name not in ROWS]
    if unknown or not names:
        raise SscnError(f"there is no row called {', '.join(unknown) or 'nothing'}; choose among {', '.join(ROWS)}")
    return [row for row in ROWS if row in names]


def make_methods(
    rows: Sequence[str],
    *,
    device: str = "cpu",
    size: int = 512,
    weights: Path | None = None,
    compare: Sequence[Path] = (),
) -> list[Method]:
    """Load what the rows need.

    Args:
        rows: as ``chosen_rows`` takes them.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
        size: long side, in pixels, at which the network and the warp work.
        weights: learned weights in place of the shipped ones.
        compare: further weights, each a further row for ``sparse`` and ``dense``, named after the file.

    Raises:
        SscnError: a row is unknown, or weights are missing or damaged.
    """
    methods = []
    for row in chosen_rows(rows):
        if row == "grey":
            methods.append(Method(row, lambda _: grey))
        elif row == "histogram":
            methods.append(Method(row, histogram_transfer))
        elif row == "warp":
            methods.append(Method(row, TrainingFreeWarp(load_efficientnet(), size, device)))
        else:
            methods.append(_network(row, row, device, size, weights))
            methods += [_network(f"{row} {name}", row, device, size, path) for name, path in _named(compare)]
    return methods


def _network(name: str, attention: Literal["sparse", "dense"], device: str, size: int, weights: Path | None) -> Method:
    colorizer = Colorizer.from_pretrained("default", device=device, attention=attention, size=size, weights=weights)

    def after(reference: Picture8) -> Colorize:
        encoded = colorizer.encode_reference(reference)
        return lambda target: colorizer.colorize(target, encoded).rgb  # type: ignore[return-value] # uint8 as the target

    return Method(name, after, colorizer.weights_sha256, dict(colorizer.parameters))


def _named(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """Each file with a name of its own: its stem, or where two have the same, its whole path."""
    stems = [path.stem for path in paths]
    return [(path.stem if stems.count(path.stem) == 1 else str(path), path) for path in paths]
