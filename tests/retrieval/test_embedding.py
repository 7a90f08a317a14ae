"""The embedding: luminance only, the same in any batch, robust to what time does to photographs."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from retrieval import Embedder, RetrievalError
from retrieval import whitening as whitening_module
from sscn.colour import luminance


def test_vectors_are_unit_length_float32(real_embedder: Embedder, photographs: dict[str, Image.Image]) -> None:
    vectors = real_embedder.embed(list(photographs.values()))
    assert vectors.shape == (len(photographs), real_embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_vector_does_not_depend_on_its_batch(real_embedder: Embedder, photographs: dict[str, Image.Image]) -> None:
    pictures = list(photographs.values())[:3]
    together = real_embedder.embed(pictures)
    backwards = real_embedder.embed(pictures[::-1])[::-1]
    alone = np.concatenate([real_embedder.embed([picture]) for picture in pictures])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together, backwards)


def test_only_luminance_counts(real_embedder: Embedder, photographs: dict[str, Image.Image]) -> None:
    for name in ("astronaut", "coffee", "rocket"):
        photograph = photographs[name]
        grey = grey_of(photograph)
        colour_vector, grey_vector, sepia_vector = real_embedder.embed([photograph, grey, sepia(grey)])
        assert colour_vector @ grey_vector > 0.98
        assert sepia_vector @ grey_vector > 0.98


def test_depth_and_kind_of_picture_make_no_difference(
    real_embedder: Embedder, photographs: dict[str, Image.Image]
) -> None:
    picture = photographs["coffee"]
    pixels = np.asarray(picture)
    vectors = real_embedder.embed([picture, pixels, pixels.astype(np.uint16) * 257])
    assert (vectors @ vectors.T).min() > 0.999


def test_aged_photographs_stay_near_themselves(real_embedder: Embedder, photographs: dict[str, Image.Image]) -> None:
    pictures = [grey_of(photograph) for photograph in list(photographs.values())[:4]]
    clean = real_embedder.embed(pictures)
    for age in (faded, blurred, dark):
        scores = real_embedder.embed([age(picture) for picture in pictures]) @ clean.T
        assert (scores.argmax(axis=1) == np.arange(len(pictures))).all(), age.__name__
        assert np.diag(scores).min() > 0.6, age.__name__


def test_the_other_half_of_a_scene_is_found(real_embedder: Embedder, photographs: dict[str, Image.Image]) -> None:
    names = [name for name in photographs if name != "motorcycle_left"]
    left = real_embedder.embed([half(photographs[name], 0) for name in names])
    right = real_embedder.embed([half(photographs[name], 1) for name in names])
    assert ((left @ right.T).argmax(axis=1) == np.arange(len(names))).all()


@pytest.mark.parametrize(
    "picture",
    [np.zeros((5, 5), np.float32), np.zeros((0, 4), np.uint8), np.zeros((4, 4, 2), np.uint8)],
    ids=["float", "empty", "two channels"],
)
def test_what_is_no_picture_is_refused(real_embedder: Embedder, picture: NDArray[np.uint8]) -> None:
    with pytest.raises(RetrievalError, match="cannot be embedded"):
        real_embedder.embed([picture])


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (3, 5)])
def test_tiny_and_flat_pictures_have_vectors_too(real_embedder: Embedder, shape: tuple[int, int]) -> None:
    vector = real_embedder.embed([np.full(shape, 200, np.uint8)])
    assert np.isfinite(vector).all()
    np.testing.assert_allclose(np.linalg.norm(vector), 1, atol=1e-5)


def test_no_pictures_give_no_vectors(real_embedder: Embedder) -> None:
    assert real_embedder.embed([]).shape == (0, real_embedder.dimension)


def test_damaged_whitening_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    data = bytearray(whitening_module.WHITENING_PATH.read_bytes())
    data[len(data) // 2] ^= 1
    damaged = tmp_path_factory.mktemp("weights") / "whitening.safetensors"
    damaged.write_bytes(data)
    with pytest.raises(RetrievalError, match="damaged"):
        whitening_module.load_whitening(damaged, whitening_module.WHITENING_SHA256)
    with pytest.raises(RetrievalError, match="cannot be read"):
        whitening_module.load_whitening(damaged.parent / "none", whitening_module.WHITENING_SHA256)


def test_the_version_names_the_models_and_the_recipe(real_embedder: Embedder) -> None:
    for part in ("vgg16-", "efficientnet-lite0-", "whitening-", "squash224", "stretch"):
        assert part in real_embedder.version
    assert len(real_embedder.version) <= 128  # the column of the database


def grey_of(picture: Image.Image) -> Image.Image:
    """A grey picture with the luminance of a colour one."""
    lightness = luminance(np.asarray(picture)) / 100
    linear = np.where(lightness > 0.08, ((lightness + 0.16) / 1.16) ** 3, lightness * 100 / 903.3)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(encoded.clip(0, 1) * 255).astype(np.uint8))


def sepia(picture: Image.Image) -> Image.Image:
    grey = np.asarray(picture, np.float32)[:, :, None]
    return Image.fromarray((grey * np.array([1.0, 0.86, 0.66], np.float32)).astype(np.uint8))


def faded(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: value * 0.4 + 90)


def dark(picture: Image.Image) -> Image.Image:
    return picture.point(lambda value: value * 0.3)


def blurred(picture: Image.Image) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(1.5))


def half(picture: Image.Image, which: int) -> Image.Image:
    middle = picture.width // 2
    left, right = (0, middle) if which == 0 else (middle, picture.width)
    return picture.convert("L").crop((left, 0, right, picture.height))
