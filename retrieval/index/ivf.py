"""Approximate search for large libraries: inverted lists of 8-bit codes, the best compared again by stored vectors.

Each vector is coded in the list of the centre that is nearest to it; a query looks through the lists of its own nearest
centres only (Sivic and Zisserman, "Video Google", ICCV 2003; FAISS, arXiv 2401.08281).
"""

import math
from collections.abc import Callable, Sequence
from typing import BinaryIO

import faiss
import numpy as np

from retrieval.index.flat import Mask, Vectors, exact_nearest, selector
from retrieval.index.manifest import StaleIndex
from retrieval.index.plan import IndexPlan
from retrieval.index.readers import Positions, VectorFiles

_SPARE = 48
"""Candidates beyond those asked for, as codes of 8 bits put the last of them in a slightly wrong order."""
_NEAR, _FAR = 10, 100
"""Neighbours by which recall is measured: those that are shown, and those that are looked at a second time."""
_SEED = 20220711
_ITERATIONS = 10
_ADDED_TOGETHER = 1 << 16


class IvfVectors:
    """Coded vectors in memory, some 270 bytes each at 256 dimensions; the vectors themselves stay in their files."""

    def __init__(self, index: "faiss.IndexIVFScalarQuantizer", files: VectorFiles, probes: int) -> None:
        self._index = index
        self._files = files
        self._probes = probes
        self._centres: Vectors = index.quantizer.reconstruct_n(0, index.nlist)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @staticmethod
    def candidates(k: int) -> int:
        """How many to take so that the k best are among them."""
        return k + _SPARE + k // 4

    def nearest(self, queries: Vectors, count: int, mask: Mask | None) -> Positions:
        """As `FlatVectors.nearest`; every query finds ``count`` if the mask leaves so many."""
        left = len(self) if mask is None else int(mask.sum())
        found = np.full((len(queries), count), -1, np.int64)
        if not left or not len(queries):
            return found
        # Where few may be found they lie further apart, and cost less each: then more lists.
        probes = min(self._index.nlist, math.ceil(self._probes * len(self) / left))
        chosen = None if mask is None else selector(mask)
        short = np.arange(len(queries))
        while len(short):
            found[short] = self._probed(queries[short], count, probes, chosen)
            if probes == self._index.nlist:
                break
            short = short[(found[short] < 0).sum(axis=1) > max(0, count - left)]
            probes = min(self._index.nlist, 4 * probes)
        return found

    def read(self, positions: Positions) -> Vectors:
        """The vectors (N, d) at these positions."""
        return self._files.read(positions)

    def _probed(self, queries: Vectors, count: int, probes: int, chosen: "faiss.IDSelectorBitmap | None") -> Positions:
        # The lists are chosen query by query: sums in FAISS depend on how many queries come together.
        lists = np.empty((len(queries), probes), np.int64)
        nearness = np.empty((len(queries), probes), np.float32)
        for row, query in enumerate(queries):
            products = self._centres @ query
            best = np.argpartition(-products, probes - 1)[:probes] if probes < len(products) else np.arange(probes)
            lists[row] = best[np.lexsort((best, -products[best]))]
            nearness[row] = products[lists[row]]
        queries = np.ascontiguousarray(queries, np.float32)
        products = np.empty((len(queries), count), np.float32)
        found = np.empty((len(queries), count), np.int64)
        parameters = faiss.SearchParametersIVF(nprobe=probes, sel=chosen)
        self._index.search_preassigned_c(
            len(queries),
            faiss.swig_ptr(queries),
            count,
            faiss.swig_ptr(lists),
            faiss.swig_ptr(nearness),
            faiss.swig_ptr(products),
            faiss.swig_ptr(found),
            False,
            parameters,
        )
        return found


def trained(files: VectorFiles, lists: int, plan: IndexPlan) -> "faiss.IndexIVFScalarQuantizer":
    """An inverted file over all vectors of ``files``; the same vectors give the same one."""
    dimension, count = files.dimension, len(files)
    index = faiss.IndexIVFScalarQuantizer(
        faiss.IndexFlatIP(dimension),
        dimension,
        lists,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
        False,  # codes of the vectors themselves, not of what the centres leave over
    )
    index.cp.niter = _ITERATIONS
    index.cp.seed = _SEED
    sample = min(count, plan.training_per_list * lists)
    index.cp.max_points_per_centroid = plan.training_per_list
    index.train(files.read(_spread(count, sample)))
    waiting: list[Vectors] = []
    for _, block in files.blocks():
        waiting.append(block)
        if sum(map(len, waiting)) >= _ADDED_TOGETHER:
            index.add(np.concatenate(waiting))
            waiting = []
    if waiting:
        index.add(np.concatenate(waiting))
    return index


def fitting_probes(index: "faiss.IndexIVFScalarQuantizer", files: VectorFiles, plan: IndexPlan) -> tuple[int, float]:
    """The fewest lists to probe, a power of two, that find what the plan asks for; and the recall of the ten nearest.

    Measured by vectors of the library itself, each without itself.
    """
    sample = _spread(len(files), min(len(files), plan.sample))
    queries = files.read(sample)
    blocks = ((np.arange(start, start + len(block)), block) for start, block in files.blocks())
    truth = exact_nearest(blocks, queries, _FAR + 1)
    probes = 1
    while True:
        vectors = IvfVectors(index, files, probes)
        found = vectors.nearest(queries, vectors.candidates(_FAR + 1), None)
        ranked = [_best(vectors, *pair, _FAR + 1) for pair in zip(queries, found, strict=True)]
        near, far = (_recall_of(ranked, truth, sample, k + 1) for k in (_NEAR, _FAR))
        if (near >= plan.recall and far >= plan.far_recall) or probes >= index.nlist:
            return probes, near
        probes *= 2


def _recall_of(found: Sequence[Positions], truth: Positions, own: Positions, k: int) -> float:
    """The part of the k true neighbours of each query that was found, its own position left out."""
    hits = asked = 0
    for row, right, one in zip(found, truth, own.tolist(), strict=True):
        wanted = set(right[:k].tolist()) - {one, -1}
        hits += len(wanted & set(row[:k].tolist()))
        asked += len(wanted)
    return hits / asked if asked else 1.0


def _best(vectors: IvfVectors, query: Vectors, found: Positions, k: int) -> Positions:
    found = found[found >= 0]
    products = vectors.read(found) @ query
    return found[np.argsort(-products, kind="stable")[:k]]


def _spread(count: int, sample: int) -> Positions:
    """So many positions, in order, the same ones every time."""
    return np.sort(np.random.default_rng(_SEED).permutation(count)[:sample]).astype(np.int64)


def write_lists(index: "faiss.IndexIVFScalarQuantizer", write: Callable[[bytes], int]) -> None:
    """Write an inverted file as FAISS does."""
    faiss.write_index(index, faiss.PyCallbackIOWriter(write, 1 << 22))


def read_lists(file: BinaryIO) -> "faiss.IndexIVFScalarQuantizer":
    """Read an inverted file.

    Raises:
        StaleIndex: another version of FAISS wrote it.
    """
    try:
        index = faiss.read_index(faiss.PyCallbackIOReader(file.read, 1 << 22))
    except RuntimeError as error:
        raise StaleIndex(f"{file.name} is of another version of FAISS") from error
    if not isinstance(index, faiss.IndexIVFScalarQuantizer):
        raise StaleIndex(f"{file.name} is an index of another kind")
    return index
