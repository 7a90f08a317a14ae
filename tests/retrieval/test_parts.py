"""Parts: short, exact, and telling where two pictures look alike."""

import numpy as np
from PIL import Image

from retrieval import Embedder
from retrieval.features import Networks
from retrieval.parts import CODE, PARTS_BYTES, PLACES, SEMANTIC_CODE, agreement, tone_distance
from retrieval.whitening import PARTS_PATH, PARTS_SHA256, WHITENING_PATH, WHITENING_SHA256, load_whitening
from sscn.efficientnet import load_efficientnet
from sscn.vgg import load_vgg


def test_parts_are_short_and_the_same_in_any_batch(
    real_embedder: Embedder, photographs: dict[str, Image.Image]
) -> None:
    pictures = list(photographs.values())[:3]
    together = real_embedder.describe(pictures).parts
    assert together.shape == (3, PARTS_BYTES)
    assert together.dtype == np.int8
    assert PARTS_BYTES <= 4096
    alone = np.concatenate([real_embedder.describe([picture]).parts for picture in pictures])
    np.testing.assert_array_equal(together, alone)
    assert real_embedder.describe([]).parts.shape == (0, PARTS_BYTES)


def test_a_picture_agrees_most_with_itself(real_embedder: Embedder, photographs: dict[str, Image.Image]) -> None:
    parts = real_embedder.describe([picture.convert("L") for picture in photographs.values()]).parts
    for number, target in enumerate(parts):
        fits = agreement(target, parts)
        assert fits.argmax() == number
        assert 0.9 < fits[number] < 1.1
        assert tone_distance(target, parts)[number] == 0


def test_agreement_does_not_depend_on_who_else_is_asked() -> None:
    random = np.random.default_rng(3)
    parts = random.integers(-60, 61, (201, PARTS_BYTES), np.int8)
    together = agreement(parts[0], parts[1:])
    alone = np.concatenate([agreement(parts[0], parts[number : number + 1]) for number in range(1, 201)])
    np.testing.assert_array_equal(together, alone)
    whole = parts[:, : PLACES * CODE].reshape(-1, PLACES, CODE).astype(np.int64)
    products = np.einsum("pc,nqc->npq", whole[0], whole[1:])
    best = np.concatenate([products.max(axis=1), products.max(axis=2)], axis=1)
    np.testing.assert_allclose(together, np.square((best / 300**2).clip(0, 1)).mean(axis=1), rtol=1e-6)


def test_parts_that_moved_are_found_again(real_embedder: Embedder, photographs: dict[str, Image.Image]) -> None:
    """Mirrored: no place is where it was, but each has its like."""
    picture = photographs["coffee"].convert("L")
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    others = [photograph.convert("L") for name, photograph in photographs.items() if name != "coffee"]
    parts = real_embedder.describe([picture, mirrored, *others]).parts
    assert agreement(parts[0], parts[1:]).argmax() == 0


def test_tones_tell_light_pictures_from_dark_ones(real_embedder: Embedder) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (64, 1))
    light, dark = [(255 * (ramp / 255) ** power).astype(np.uint8) for power in (0.4, 2.5)]
    parts = real_embedder.describe([ramp, light, dark]).parts
    distance = tone_distance(parts[1], parts)
    assert distance[1] == 0 < distance[0] < distance[2]
    assert distance[2] > 20


def test_own_vgg_weights_leave_the_semantic_parts(photographs: dict[str, Image.Image]) -> None:
    whitening = load_whitening(WHITENING_PATH, WHITENING_SHA256)
    maps = load_whitening(PARTS_PATH, PARTS_SHA256)
    embedder = Embedder(Networks(load_vgg(), load_efficientnet()), whitening, maps, "own", own_vgg=True)
    parts = embedder.describe([photographs["coffee"], photographs["chelsea"]]).parts
    codes = parts[:, : PLACES * CODE].reshape(2, PLACES, CODE)
    assert (codes[..., SEMANTIC_CODE:] == 0).all()
    assert (codes[..., :SEMANTIC_CODE] != 0).any(axis=-1).all()
    assert agreement(parts[0], parts).argmax() == 0
