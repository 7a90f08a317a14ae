"""Digests of what an index answers from: they do not depend on the order, and follow each change by one addition."""

import hashlib
import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Digests = NDArray[np.uint8]

_MODULUS = 1 << 256
DIGEST_BYTES = 32


def content_of(ids: Ids, digests: Digests) -> int:
    """The sum, modulo 2^256, of the SHA-256 of each reference's id and content.

    Args:
        ids: (N,).
        digests: (N, 32), sha256 of the references' files.
    """
    hashed = (
        hashlib.sha256(struct.pack("<q", one) + row) for one, row in zip(ids.tolist(), _rows(digests), strict=True)
    )
    return sum(int.from_bytes(one.digest(), "little") for one in hashed) % _MODULUS


def changed_content(content: int, added: int, removed: int) -> int:
    """The sum after references with the sum ``added`` came and those with ``removed`` went."""
    return (content + added - removed) % _MODULUS


def index_version(embedding_version: str, content: int) -> str:
    """Hex digest of what searches answer from: the embedding's version and every reference's id and content."""
    return hashlib.sha256(embedding_version.encode() + b"\0" + content.to_bytes(DIGEST_BYTES, "little")).hexdigest()


def digests_of(sha256s: Iterable[str]) -> Digests:
    """Hexadecimal sha256 -> (N, 32) uint8."""
    return np.frombuffer(bytes.fromhex("".join(sha256s)), np.uint8).reshape(-1, DIGEST_BYTES)


def tags_of(digests: Digests) -> NDArray[np.uint64]:
    """The first eight bytes of each digest (N,): enough to see that a hit is the content that it was."""
    return np.ascontiguousarray(digests[:, :8]).view("<u8").reshape(-1).astype(np.uint64)


def tag_of(sha256: str) -> int:
    """`tags_of` of one hexadecimal digest."""
    return int.from_bytes(bytes.fromhex(sha256[:16]), "little")


def _rows(digests: Digests) -> Iterable[bytes]:
    data = np.ascontiguousarray(digests).tobytes()
    return (data[start : start + DIGEST_BYTES] for start in range(0, len(data), DIGEST_BYTES))
