"""What searching a large reference library costs: our index next to exact search and to a graph (HNSW).

The vectors are made from those of real pictures, by mixing and with noise: uniformly random ones have no neighbours
worth finding, and pictures by the million are nowhere at hand. Every index is built in one process and searched in a
fresh one, whose memory is measured.
"""

import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from flows.errors import UsageError
from flows.pictures_below import pictures_below
from storage.database import open_database, references, sqlite_url
from storage.database.records import ReferenceRecord
from storage.fixity import sha256_bytes
from storage.paths import path_to_text

if TYPE_CHECKING:  # see flows.engine
    from retrieval import Embedder

T = TypeVar("T")
Vectors = NDArray[np.float32]
Ids = NDArray[np.int64]
Say = Callable[[str], None]

ADDED = 10_000
K = 10
FILTERED = 0.001
"""The part of the references that the filter leaves."""
_QUERIES = 1_000
_FILTERED_QUERIES = 200
_TOGETHER = 100
"""Queries in a batch."""
_MIXED = 3
_NOISE = 0.5
"""Length of the noise that is added to a unit vector."""
_CHUNK = 20_000
_RECORDED_TOGETHER = 5_000
_HNSW_LINKS = 32
_HNSW_SEARCH = 128
_LIBRARY = "."
_VERSION = "benchmark"


@dataclass(frozen=True, slots=True)
class RetrievalFigures:
    """Of one index: seconds to build it, to add `ADDED` vectors and to open it, milliseconds a query in batches and
    with a filter that leaves a thousandth, bytes of memory a vector of the process that searches, and the part of the
    ten nearest found without and with the filter."""

    index: str
    vectors: int
    build_seconds: float
    add_seconds: float
    open_seconds: float
    query_ms: float
    bytes_a_vector: float
    recall: float
    filtered_ms: float
    filtered_recall: float


@dataclass(frozen=True, slots=True)
class _Built:
    name: str
    build_seconds: float
    add_seconds: float


@dataclass(frozen=True, slots=True)
class _Searched:
    """Ids (N, K) found, -1 where there are no more."""

    found: Ids
    filtered: Ids
    open_seconds: float
    seconds: float
    filtered_seconds: float
    memory_bytes: int


def measure_retrieval(
    vectors: int, pictures: Path, device: str, say: Say = lambda line: None
) -> list[RetrievalFigures]:
    """Build, add to and search the three kinds of index over the same vectors; files go to the temporary folder.

    Args:
        vectors: how many, before `ADDED` more are added.
        pictures: a folder of pictures whose embeddings the vectors are made from.
        device: where the pictures are embedded.
        say: told what is being done.

    Raises:
        UsageError: there is no picture in the folder.
        RetrievalError: the embedding's weights cannot be used.
    """
    from retrieval import Embedder

    say(f"embedding the pictures of {path_to_text(pictures)}")
    base = embedded(pictures, Embedder.from_pretrained(device=device))
    with tempfile.TemporaryDirectory(prefix="archive-colorizer-benchmark-") as name:
        folder = Path(name)
        say(f"making {vectors + ADDED} vectors from {len(base)}")
        rng = np.random.default_rng(4)
        with (folder / "vectors").open("wb") as file:
            for start in range(0, vectors + ADDED, _CHUNK):
                file.write(mixed(base, min(_CHUNK, vectors + ADDED - start), rng).tobytes())
        np.save(folder / "queries.npy", mixed(base, _QUERIES, rng))
        chosen = rng.permutation(vectors + ADDED)[: math.ceil(FILTERED * vectors)]
        np.save(folder / "among.npy", np.sort(chosen).astype(np.int64))
        figures: list[RetrievalFigures] = []
        truth: _Searched | None = None
        for kind, build, search in (
            ("exact search", _build_flat, _search_faiss),
            ("ours", _build_ours, _search_ours),
            ("HNSW", _build_hnsw, _search_faiss),
        ):
            say(f"building the index: {kind}")
            built = _in_fresh_process(build, folder, vectors, base.shape[1])
            say(f"searching: {kind}")
            searched = _in_fresh_process(search, folder, base.shape[1])
            truth = truth or searched
            figures.append(_figures(built, searched, truth, vectors))
    return figures


def embedded(pictures: Path, embedder: "Embedder") -> Vectors:
    """Vectors of the pictures in a folder, and of both halves of each.

    Raises:
        UsageError: there is none.
    """
    found: list[Vectors] = []
    for _, master in pictures_below(pictures):
        pixels = master.pixels
        middle = pixels.shape[1] // 2
        parts = [pixels] if middle < 1 else [pixels, pixels[:, :middle], pixels[:, middle:]]
        found.append(embedder.embed(parts))
    if not found:
        raise UsageError(f"there is no picture in {path_to_text(pictures)}; name a folder of photographs")
    return np.concatenate(found)


def mixed(base: Vectors, count: int, rng: np.random.Generator) -> Vectors:
    """Unit vectors (count, d): a few of ``base`` (m, d) in random shares, and noise."""
    shares = rng.dirichlet([0.5] * _MIXED, size=count).astype(np.float32)
    picked = base[rng.integers(0, len(base), (count, _MIXED))]
    vectors = np.einsum("nk,nkd->nd", shares, picked)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors += rng.standard_normal(vectors.shape, np.float32) * np.float32(_NOISE / math.sqrt(base.shape[1]))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def _figures(built: _Built, searched: _Searched, truth: _Searched, vectors: int) -> RetrievalFigures:
    return RetrievalFigures(
        index=built.name,
        vectors=vectors + ADDED,
        build_seconds=built.build_seconds,
        add_seconds=built.add_seconds,
        open_seconds=searched.open_seconds,
        query_ms=1000 * searched.seconds / _QUERIES,
        bytes_a_vector=searched.memory_bytes / (vectors + ADDED),
        recall=_recall(searched.found, truth.found),
        filtered_ms=1000 * searched.filtered_seconds / _FILTERED_QUERIES,
        filtered_recall=_recall(searched.filtered, truth.filtered),
    )


def _recall(found: Ids, truth: Ids) -> float:
    wanted = [set(row.tolist()) - {-1} for row in truth]
    return sum(len(row & set(one.tolist())) for row, one in zip(wanted, found, strict=True)) / sum(map(len, wanted))


def _in_fresh_process(work: Callable[..., T], *arguments: Any) -> T:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def _chunks(folder: Path, dimension: int, first: int, last: int) -> Iterator[Vectors]:
    """Those of the vectors from the first to before the last, in pieces."""
    with (folder / "vectors").open("rb") as file:
        file.seek(4 * dimension * first)
        for start in range(first, last, _CHUNK):
            yield np.fromfile(file, np.float32, min(_CHUNK, last - start) * dimension).reshape(-1, dimension)


def _build_ours(folder: Path, vectors: int, dimension: int) -> _Built:
    from retrieval.index import IndexKeeper

    with open_database(sqlite_url(folder / "library.db")) as database:
        _record(folder, dimension, 0, vectors)
        start = time.perf_counter()
        keeper = IndexKeeper(database, _LIBRARY, folder / "index", _VERSION, dimension)
        built = time.perf_counter() - start
        start = time.perf_counter()
        _record(folder, dimension, vectors, vectors + ADDED)
        keeper.refresh()
        added = time.perf_counter() - start
        manifest = keeper.index.manifest
    how = (
        manifest.kind
        if manifest.lists is None
        else f"ivf, {manifest.lists.lists} lists, {manifest.lists.probes} probed"
    )
    return _Built(f"ours ({how})", built, added)


def _record(folder: Path, dimension: int, first: int, last: int) -> None:
    """Into the database, as `references add` does after the network; ids count from 1."""
    number = first
    with open_database(sqlite_url(folder / "library.db")) as database:
        for chunk in _chunks(folder, dimension, first, last):
            for start in range(0, len(chunk), _RECORDED_TOGETHER):
                some = chunk[start : start + _RECORDED_TOGETHER]
                records = [_reference(number + place, vector) for place, vector in enumerate(some)]
                references.upsert(database, records)
                number += len(some)


def _reference(number: int, vector: Vectors) -> ReferenceRecord:
    # upsert goes by path: so the order of paths is that of ids
    return ReferenceRecord(
        library=_LIBRARY,
        path=f"box {number // 1000:05}/{number:08}.jpg",
        sha256=sha256_bytes(vector.tobytes()),
        width=1024,
        height=768,
        embedding_version=_VERSION,
        embedding=vector,
    )


def _search_ours(folder: Path, dimension: int) -> _Searched:
    from retrieval.index import IndexKeeper

    before, start = _warm(), time.perf_counter()
    with open_database(sqlite_url(folder / "library.db"), create=False) as database:
        keeper = IndexKeeper(database, _LIBRARY, folder / "index", _VERSION, dimension)
        open_seconds = time.perf_counter() - start

        def search(queries: Vectors, among: Ids | None) -> Ids:
            hits = keeper.index.search(queries, K, None if among is None else among + 1)
            return np.stack([np.pad(one.ids - 1, (0, K - len(one.ids)), constant_values=-1) for one in hits])

        return _timed(folder, search, before, open_seconds)


def _build_flat(folder: Path, vectors: int, dimension: int) -> _Built:
    import faiss

    return _build_faiss(folder, vectors, dimension, faiss.IndexFlatIP(dimension), "exact search")


def _build_hnsw(folder: Path, vectors: int, dimension: int) -> _Built:
    import faiss

    index = faiss.IndexHNSWFlat(dimension, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = _HNSW_SEARCH
    name = f"HNSW ({_HNSW_LINKS} links, efSearch {_HNSW_SEARCH})"
    return _build_faiss(folder, vectors, dimension, index, name)


def _build_faiss(folder: Path, vectors: int, dimension: int, index: Any, name: str) -> _Built:
    import faiss

    seconds = []
    for first, last in ((0, vectors), (vectors, vectors + ADDED)):
        start = time.perf_counter()
        for chunk in _chunks(folder, dimension, first, last):
            index.add(chunk)
        seconds.append(time.perf_counter() - start)
    faiss.write_index(index, str(folder / "faiss"))
    return _Built(name, *seconds)


def _search_faiss(folder: Path, dimension: int) -> _Searched:
    import faiss

    before, start = _warm(), time.perf_counter()
    index = faiss.read_index(str(folder / "faiss"))
    open_seconds = time.perf_counter() - start
    graph = isinstance(index, faiss.IndexHNSW)

    def search(queries: Vectors, among: Ids | None) -> Ids:
        if among is None:
            return np.asarray(index.search(queries, K)[1], np.int64)
        mask = np.zeros(index.ntotal, bool)
        mask[among] = True
        chosen = faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
        kind = faiss.SearchParametersHNSW(efSearch=_HNSW_SEARCH, sel=chosen) if graph else None
        return np.asarray(index.search(queries, K, params=kind or faiss.SearchParameters(sel=chosen))[1], np.int64)

    return _timed(folder, search, before, open_seconds)


def _timed(folder: Path, search: Callable[[Vectors, Ids | None], Ids], before: int, open_seconds: float) -> _Searched:
    queries, among = np.load(folder / "queries.npy"), np.load(folder / "among.npy")
    search(queries[:_TOGETHER], None)
    memory = _memory_bytes() - before
    start = time.perf_counter()
    found = [search(queries[at : at + _TOGETHER], None) for at in range(0, len(queries), _TOGETHER)]
    seconds = time.perf_counter() - start
    memory = max(memory, _memory_bytes() - before)
    few = queries[:_FILTERED_QUERIES]
    start = time.perf_counter()
    filtered = [search(few[at : at + _TOGETHER], among) for at in range(0, len(few), _TOGETHER)]
    filtered_seconds = time.perf_counter() - start
    all_found, all_filtered = np.concatenate(found), np.concatenate(filtered)
    return _Searched(all_found, all_filtered, open_seconds, seconds, filtered_seconds, memory)


def _warm() -> int:
    """The memory of this process once its libraries have their threads and buffers."""
    import faiss

    import retrieval.index

    assert retrieval.index
    some = np.random.default_rng(0).standard_normal((2_000, 256), np.float32)
    faiss.knn(some[:_TOGETHER], some, K)
    some @ some[0]
    return _memory_bytes()


def _memory_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
