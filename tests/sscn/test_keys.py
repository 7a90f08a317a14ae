"""The paper's sparse keys: half where the classifier looks, half at random, always the same."""

import torch

from sscn import colour
from sscn.efficientnet import load_efficientnet
from sscn.keys import cam_keys, class_activation, strongest_class
from tests.sscn.conftest import small


def test_half_of_the_keys_lie_where_the_map_is_strongest():
    activation = torch.zeros(4, 6)
    activation[0, 5] = 3.0  # the upper right corner
    keys = cam_keys(activation, (16, 24), count=20)
    rows, columns = keys // 24, keys % 24
    assert keys.dtype == torch.int64
    assert len(set(keys.tolist())) == 20
    assert (rows[:10] < 6).all()
    assert (columns[:10] >= 18).all()
    assert columns[10:].min() < 8, "the other half is spread over the grid"
    assert rows[10:].max() >= 8


def test_keys_are_the_same_every_time_and_the_seed_moves_only_the_random_half():
    activation = torch.rand(8, 8, generator=torch.Generator().manual_seed(1))
    keys = cam_keys(activation, (64, 64))
    torch.manual_seed(99)
    assert torch.equal(keys, cam_keys(activation, (64, 64)))
    other = cam_keys(activation, (64, 64), seed=1)
    assert torch.equal(keys[:256], other[:256])
    assert not torch.equal(keys[256:], other[256:])


def test_a_small_grid_gives_all_its_positions():
    assert cam_keys(torch.rand(2, 2), (16, 16)).tolist() == list(range(256))
    odd = cam_keys(torch.rand(2, 2), (5, 5), count=7)
    assert len(set(odd.tolist())) == 7


def test_the_strongest_class_is_the_one_with_the_greatest_mean():
    maps = torch.zeros(3, 2, 2)
    maps[1] += 1
    maps[2, 0, 0] = 3.5  # the greatest peak, but not on the whole
    assert torch.equal(strongest_class(maps), maps[1])


def test_the_class_activation_map_is_where_the_thing_is(cat):
    """A cat on the right of an empty grey field; the map's mean must be the classifier's own logit."""
    light = torch.from_numpy(colour.luminance(small(cat, 160)))
    picture = torch.full((1, 1, 192, 384), 50.0)
    picture[0, 0, 40 : 40 + light.shape[0], 208 : 208 + light.shape[1]] = light
    encoder = load_efficientnet()
    activation = class_activation(encoder, picture)
    assert activation.shape == (6, 12)
    assert torch.allclose(activation.mean(), encoder.classify(picture).max(), atol=1e-3)
    keys = cam_keys(activation, (48, 96))
    assert ((keys[:256] % 96) >= 48).float().mean() > 0.9
