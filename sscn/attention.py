"""Attention from every target position to positions of the reference: dense, or sparse by routing.

Sparse (ours, in place of the paper's fixed 256 + 256 keys): the reference's keys are clustered once; a target
position attends exactly to the members of its few nearest clusters. Nothing is random, and nothing depends on the order
of the targets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_CLUSTERS = 512
"""Each costs a step of its own and a product with every query, so that more of them would not pay."""
_SCORES_AT_ONCE = 1 << 24
"""Similarities held in memory at a time (64 MiB of float32) where there are many small processors."""
_QUERIES_IN_CACHE, _KEYS_IN_CACHE = 256, 1024
"""On a CPU similarities never leave its cache (1 MiB): half the time of larger parts."""
_GREATEST_EXPONENT = 60.0
"""Of softmax weights that are summed as they are: neither they nor sums of a million of them leave float32's range."""
_SMALLEST_EXPONENT = -85.0
"""Kept above that where a lower temperature asks for more."""


@dataclass(frozen=True)
class Attended:
    """What attention brings back for each query."""

    values: Tensor
    """(Q, V): the values, averaged by the softmax weights."""
    best: Tensor
    """(Q,): the greatest cosine similarity."""


def attend(queries: Tensor, keys: Tensor, values: Tensor, temperature: float) -> Attended:
    """Softmax attention with cosine similarity, over all keys; no gradient flows through it.

    Args:
        queries: (Q, D), unit length.
        keys: (K, D), unit length.
        values: (K, V).
        temperature: softmax temperature on the cosine similarity.
    """
    weighted = _with_ones(values)
    rows, columns = max(1, _SCORES_AT_ONCE // len(keys)), len(keys)
    if queries.device.type == "cpu":
        rows, columns = min(rows, _QUERIES_IN_CACHE), _KEYS_IN_CACHE
    parts = list(zip(torch.split(keys, columns), torch.split(weighted, columns), strict=True))
    sums = torch.zeros(len(queries), weighted.shape[1], dtype=values.dtype, device=values.device)
    best = torch.full((len(queries),), -1.0, dtype=queries.dtype, device=queries.device)
    for begin in range(0, len(queries), rows):
        some = slice(begin, begin + rows)
        for own_keys, own_values in parts:
            own_sums, own_best = _weigh(queries[some], own_keys, own_values, temperature)
            sums[some] += own_sums
            torch.maximum(best[some], own_best, out=best[some])
    return _attended(sums, best)


def _with_ones(values: Tensor) -> Tensor:
    """Values with a column of ones behind them, whose sum is the sum of the weights."""
    return torch.cat([values, torch.ones_like(values[:, :1])], dim=1)


def _weigh(queries: Tensor, keys: Tensor, weighted: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Sums of ``weighted`` (K, V) by exp(similarity / temperature), (Q, V), and the greatest similarity (Q,).

    As cosines are at most 1 no maximum is needed first, and sums over parts of the keys can be added up.
    """
    logits = torch.addmm(queries.new_zeros(()), queries, keys.T, beta=0, alpha=1 / temperature)
    best = logits.amax(dim=1) * temperature
    if 1 / temperature > _GREATEST_EXPONENT:  # a common factor on all weights changes nothing
        logits = (logits + (_GREATEST_EXPONENT - 1 / temperature)).clamp_min_(_SMALLEST_EXPONENT)
    return logits.exp_() @ weighted, best


def _attended(sums: Tensor, best: Tensor) -> Attended:
    return Attended(sums[:, :-1] / sums[:, -1:], best)


@dataclass(frozen=True)
class KeyClusters:
    """How the reference's keys cluster; everything about the reference that routing needs."""

    centroids: Tensor
    """(C, D), unit length."""
    sizes: tuple[int, ...]
    """Keys in each cluster, none of them 0."""
    order: Tensor
    """(K,): the keys' indices, cluster after cluster. Keys and values are kept in this order, so that a cluster is a
    slice."""


def cluster_keys(keys: Tensor, cluster_size: int, iterations: int = 8, sample: int = 8192) -> KeyClusters:
    """Cluster unit-length keys (K, D) by spherical k-means, deterministically.

    Args:
        keys: (K, D), unit length.
        cluster_size: keys in a cluster on average; less for few keys, more for very many (at least 64 clusters, at
            most 512, and never more than a sixteenth of the keys).
        iterations: rounds of k-means.
        sample: k-means is fitted on at most so many keys, evenly spaced.
    """
    count = keys.shape[0]
    clusters = max(1, min(max(MOST_CLUSTERS // 8, count // cluster_size), MOST_CLUSTERS, count // 16))
    fitted = keys[torch.linspace(0, count - 1, min(sample, count), device=keys.device).long()]
    centroids = fitted[torch.linspace(0, len(fitted) - 1, clusters, device=keys.device).long()]
    for _ in range(iterations):
        nearest = (fitted @ centroids.T).argmax(dim=1)
        sums = F.one_hot(nearest, clusters).to(fitted.dtype).T @ fitted  # index_add_ is not deterministic on CUDA
        norms = sums.norm(dim=1, keepdim=True)
        centroids = torch.where(norms > 1e-6, sums / norms.clamp_min(1e-6), centroids)
    nearest = (keys @ centroids.T).argmax(dim=1)
    used, sizes = torch.unique(nearest, return_counts=True)
    return KeyClusters(centroids[used], tuple(sizes.tolist()), nearest.argsort(stable=True))


def attend_routed(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    clusters: KeyClusters,
    routes: int,
    temperature: float,
    together: int = 1,
) -> Attended:
    """Softmax attention of each query over exactly the members of ``routes`` clusters: those nearest to its block.

    Cluster by cluster, so that each step is one matrix product. No gradient flows through it.

    Args:
        queries: (Q, D), unit length.
        keys: (K, D), unit length, in the order of ``clusters``.
        values: (K, V), in the same order.
        clusters: from ``cluster_keys`` on these keys.
        routes: clusters each query attends to.
        temperature: softmax temperature on the cosine similarity.
        together: so many queries, one after the other, are a block and go the same ways; Q is a multiple of it.
    """
    blocks = queries.reshape(-1, together * queries.shape[1])
    routed = _nearest_clusters(queries, clusters, routes, together)
    # so few numbers sort many times faster as short integers
    by_cluster = routed.flatten().to(torch.int16).argsort(stable=True)
    sizes = torch.bincount(routed.flatten(), minlength=len(clusters.sizes)).tolist()
    weighted = _with_ones(values)
    sums = torch.zeros(len(blocks), together * weighted.shape[1], dtype=values.dtype, device=values.device)
    best = torch.full((len(blocks), together), -1.0, dtype=queries.dtype, device=queries.device)
    parts = zip(
        torch.split(by_cluster, sizes),
        torch.split(keys, list(clusters.sizes)),
        torch.split(weighted, list(clusters.sizes)),
        strict=True,
    )
    for pairs, own_keys, own_values in parts:
        for group in torch.split(pairs // routed.shape[1], max(1, _SCORES_AT_ONCE // (together * len(own_keys)))):
            members = blocks.index_select(0, group).view(-1, queries.shape[1])
            own_sums, own_best = _weigh(members, own_keys, own_values, temperature)
            best[group] = torch.maximum(best[group], own_best.view(-1, together))
            # a block comes once in a group: no order to depend on
            sums.index_add_(0, group, own_sums.view(-1, sums.shape[1]))
    return _attended(sums.view(len(queries), -1), best.flatten())


def routed_share(queries: Tensor, clusters: KeyClusters, routes: int, together: int = 1) -> float:
    """Part of all pairs of (Q, D) queries and keys that ``attend_routed`` looks at, 0..1."""
    sizes = torch.tensor(clusters.sizes, dtype=torch.float64, device=queries.device)
    looked_at = sizes[_nearest_clusters(queries, clusters, routes, together)].sum() * together
    return float(looked_at / (len(queries) * sizes.sum()))


def _nearest_clusters(queries: Tensor, clusters: KeyClusters, routes: int, together: int) -> Tensor:
    """Numbers of the clusters nearest to each block's mean, in no order: (Q / together, routes), or as many as are."""
    means = queries.view(-1, together, queries.shape[1]).mean(dim=1) if together > 1 else queries
    likeness = means @ clusters.centroids.T
    return likeness.topk(min(routes, len(clusters.sizes)), dim=1, sorted=False).indices
