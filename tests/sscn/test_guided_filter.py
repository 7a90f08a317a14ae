"""The guided filter: plain means where there is nothing to follow, edges kept where there are."""

import pytest
import torch
from torch.nn import functional as F

from sscn.guided_filter import apply_model, box_mean, guided_model


@pytest.mark.parametrize("shape", [(1, 1), (3, 40), (40, 3), (64, 80)])
@pytest.mark.parametrize("radius", [1, 2, 9])
def test_box_mean_is_the_mean_of_the_window(shape, radius):
    torch.manual_seed(0)
    x = torch.rand(1, 3, *shape) * 100
    padded = F.pad(x, (radius,) * 4, mode="replicate")
    assert torch.allclose(box_mean(x, radius), F.avg_pool2d(padded, 2 * radius + 1, 1), atol=1e-3)


def test_chroma_follows_the_guide_over_an_edge():
    guide = torch.zeros(1, 1, 40, 40)
    guide[..., 20:] = 0.8
    values = 50 * guide + torch.randn(1, 1, 40, 40, generator=torch.Generator().manual_seed(1)) * 5
    smooth = apply_model(guided_model(guide, values, 3, 1e-3), guide)
    assert smooth[..., 10:30, :19].abs().mean() < 2
    assert (smooth[..., 10:30, 21:] - 40).abs().mean() < 2


def test_untrusted_values_do_not_count():
    guide = torch.full((1, 1, 30, 30), 0.5)
    values = torch.zeros(1, 2, 30, 30)
    values[..., 15, 15] = 100
    weight = torch.ones(1, 1, 30, 30)
    weight[..., 15, 15] = 1e-6
    assert apply_model(guided_model(guide, values, 4, 1e-3, weight), guide).abs().max() < 1e-2
