"""Chroma subsampling: sizes, and samples where the siting puts them."""

import numpy as np
import pytest

from storage.film import chroma_size, subsample


@pytest.mark.parametrize(
    ("subsampling", "size"),
    [
        ("444", (241, 321)),
        ("422", (241, 161)),
        ("420", (121, 161)),
        ("440", (121, 321)),
        ("411", (241, 81)),
        ("410", (61, 81)),
    ],
)
def test_sizes_round_up(subsampling: str, size: tuple[int, int]) -> None:
    assert chroma_size(321, 241, subsampling) == size  # type: ignore[arg-type]
    for kind in (np.uint8, np.uint16):
        plane = np.full((241, 321), 77, kind)
        smaller = subsample(plane, subsampling)  # type: ignore[arg-type]
        assert smaller.shape == size
        assert smaller.dtype == kind
        assert (smaller == 77).all()


def positions(subsampling: str, siting: str, axis: int) -> np.ndarray:
    """Where the chroma samples lie, in luma samples, measured on a ramp."""
    ramp = np.broadcast_to(np.arange(32, dtype=np.uint16) * 1000, (32, 32))
    ramp = ramp if axis == 1 else ramp.T
    smaller = subsample(np.ascontiguousarray(ramp), subsampling, siting)  # type: ignore[arg-type]
    return (smaller[2] if axis == 1 else smaller[:, 2])[1:-1] / 1000


@pytest.mark.parametrize(
    ("subsampling", "siting", "across", "down"),
    [("420", "left", 0, 0.5), ("420", "center", 0.5, 0.5), ("420", "topleft", 0, 0), ("422", "left", 0, 0)],
)
def test_siting(subsampling: str, siting: str, across: float, down: float) -> None:
    columns = positions(subsampling, siting, 1)
    assert np.allclose(columns, across + 2 * np.arange(1, 1 + len(columns)), atol=0.001)
    rows = positions(subsampling, siting, 0)
    step = 2 if subsampling == "420" else 1
    assert np.allclose(rows, down + step * np.arange(1, 1 + len(rows)), atol=0.001)


def test_rounding_is_to_the_nearest() -> None:
    plane = np.array([[10, 11], [11, 11]], np.uint8)
    assert subsample(plane, "420", "center").tolist() == [[11]]
    assert subsample(np.full((3, 3), 65535, np.uint16), "420").max() == 65535
