"""The records of references; conventions are those of `storage.database.records`."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

ReferenceState = Literal["active", "retired", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRecord:
    """A reference picture with its embedding (float32, shape (d,)); `path` is relative to `library`.

    `size_bytes` and `mtime_ns` let a later run skip the file without hashing it.
    """

    library: str
    path: str
    sha256: str
    width: int
    height: int
    embedding_version: str
    embedding: NDArray[np.float32]
    size_bytes: int | None = None
    mtime_ns: int | None = None
    added_by_run_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedReferenceRecord:
    """A file of a reference library that could not be used; `message` is one line for people."""

    library: str
    path: str
    error_type: str
    message: str
    sha256: str | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    added_by_run_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceMetadata:
    """What describes a reference. `created` is the date or era as it was written, `year_first` to `year_last` (both
    included) what was understood of it; `tags` come out of the database in the order of their code points.
    """

    caption: str | None = None
    rights: str | None = None
    creator: str | None = None
    created: str | None = None
    year_first: int | None = None
    year_last: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReference:
    """A reference that the database already has (its vector is read by `reference_vectors`).

    `near_duplicate_of` is the oldest reference that shows nearly the same; it may be retired.
    """

    id: int
    library: str
    path: str
    sha256: str | None
    width: int | None
    height: int | None
    size_bytes: int | None
    mtime_ns: int | None
    state: ReferenceState
    error_type: str | None
    message: str | None
    embedding_version: str | None
    added_at: datetime
    retired_at: datetime | None
    near_duplicate_of: int | None = None
