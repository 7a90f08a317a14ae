"""Routed attention against dense, on features of real pictures."""

import pytest
import torch
from torch.nn import functional as F

from sscn.attention import attend, attend_routed, cluster_keys, routed_share
from sscn.matching import block_grid, block_tokens, tokens
from sscn.pretrained import load_network


@torch.inference_mode()
def _features(picture) -> torch.Tensor:
    from sscn.colour import luminance

    extract = load_network()[0].extract
    return tokens(extract(torch.from_numpy(luminance(picture))[None, None]).fine)


def test_dense_attention_is_the_textbook_formula():
    torch.manual_seed(0)
    queries, keys = F.normalize(torch.randn(50, 8), dim=1), F.normalize(torch.randn(70, 8), dim=1)
    values = torch.randn(70, 3)
    found = attend(queries, keys, values, 0.1)
    weights = torch.exp(queries @ keys.T / 0.1)
    assert torch.allclose(found.values, (weights @ values) / weights.sum(1, keepdim=True), atol=1e-4)
    assert torch.allclose(found.best, (queries @ keys.T).amax(1))


def test_chunks_do_not_change_the_answer(monkeypatch, cat):
    keys = _features(cat)
    values = torch.rand(len(keys), 2)
    whole = attend(keys[:200], keys, values, 0.02)
    clusters = cluster_keys(keys, 128)
    ordered = keys[clusters.order], values[clusters.order]
    routed = attend_routed(keys[:200], *ordered, clusters, 4, 0.02)
    monkeypatch.setattr("sscn.attention._SCORES_AT_ONCE", 3 * len(keys))
    assert torch.allclose(attend(keys[:200], keys, values, 0.02).values, whole.values, atol=1e-5)
    assert torch.allclose(attend_routed(keys[:200], *ordered, clusters, 4, 0.02).values, routed.values, atol=1e-5)


def test_all_routes_together_are_dense(cat, coffee):
    queries, keys = _features(coffee), _features(cat)
    values = torch.rand(len(keys), 3)
    clusters = cluster_keys(keys, 1024)
    routed = attend_routed(queries, keys[clusters.order], values[clusters.order], clusters, 512, 0.02)
    dense = attend(queries, keys, values, 0.02)
    assert torch.allclose(routed.values, dense.values, atol=1e-4)
    assert torch.allclose(routed.best, dense.best, atol=1e-6)


def test_the_share_of_pairs_is_that_of_the_clusters_looked_at(cat, coffee):
    queries, keys = _features(coffee), _features(cat)
    clusters = cluster_keys(keys, 16)
    shares = [routed_share(queries, clusters, routes) for routes in (1, 4, len(clusters.sizes))]
    assert shares[0] < shares[1] < shares[2] == 1
    nearest = (queries @ clusters.centroids.T).argmax(dim=1)
    assert shares[0] == pytest.approx(sum(clusters.sizes[n] for n in nearest.tolist()) / (len(queries) * len(keys)))


@pytest.mark.parametrize("size", [(6, 8), (5, 7), (1, 1)])
def test_blocks_of_a_grid_come_back_in_their_places(size):
    maps = torch.rand(1, 3, *size)
    rows = block_tokens(maps, 2)
    assert rows.shape == (4 * -(-size[0] // 2) * -(-size[1] // 2), 3)
    assert torch.equal(rows[0], maps[0, :, 0, 0])
    if size == (6, 8):
        assert torch.equal(rows[:4], maps[0, :, :2, :2].flatten(1).T)
    assert torch.equal(block_grid(rows, size, 2), maps)


def test_queries_of_a_block_go_the_same_ways(cat, coffee):
    queries, keys = _features(coffee)[:4000], _features(cat)
    values = torch.rand(len(keys), 3)
    clusters = cluster_keys(keys, 64)
    ordered = keys[clusters.order], values[clusters.order]
    blocks = attend_routed(queries, *ordered, clusters, 2, 0.02, together=4)
    # a block of one query four times over is that query alone
    alone = attend_routed(queries, *ordered, clusters, 2, 0.02)
    repeated = attend_routed(queries.repeat_interleave(4, dim=0), *ordered, clusters, 2, 0.02, together=4)
    assert torch.allclose(repeated.values[::4], alone.values, atol=1e-5)
    assert not torch.allclose(blocks.values, alone.values, atol=1e-2)
    everywhere = attend_routed(queries, *ordered, clusters, 512, 0.02, together=4)
    assert torch.allclose(everywhere.values, attend(queries, keys, values, 0.02).values, atol=1e-4)


def test_few_routes_are_nearly_dense(cat):
    """The picture against its own mirror image: a sixteenth of the pairs, nearly the same colours."""
    queries, keys = _features(cat), _features(cat[:, ::-1].copy())
    values = torch.linspace(-50, 50, len(keys))[:, None].sin() * 40
    clusters = cluster_keys(keys, 16)
    routed = attend_routed(queries, keys[clusters.order], values[clusters.order], clusters, 8, 0.02)
    dense = attend(queries, keys, values, 0.02)
    assert (routed.best >= dense.best - 1e-5).float().mean() > 0.9
    error = (routed.values - dense.values).square().mean().sqrt()
    assert error < 0.25 * values.square().mean().sqrt()


def test_every_key_is_in_one_cluster_and_the_clustering_repeats(cat):
    keys = _features(cat)
    clusters, again = cluster_keys(keys, 32), cluster_keys(keys, 32)
    assert torch.equal(clusters.order.sort().values, torch.arange(len(keys)))
    assert sum(clusters.sizes) == len(keys)
    nearest = (keys[clusters.order] @ clusters.centroids.T).argmax(dim=1)
    assert torch.equal(nearest, torch.arange(len(clusters.sizes)).repeat_interleave(torch.tensor(clusters.sizes)))
    assert clusters.sizes == again.sizes
    assert torch.equal(clusters.order, again.order)
    assert torch.equal(clusters.centroids, again.centroids)


def test_a_query_unlike_every_key_still_gets_a_colour():
    keys = F.normalize(torch.ones(64, 4), dim=1)
    values = torch.arange(64.0)[:, None]
    found = attend_routed(-keys[:3], keys, values, cluster_keys(keys, 4), 2, 0.001)  # equal keys: any order
    assert torch.isfinite(found.values).all()
