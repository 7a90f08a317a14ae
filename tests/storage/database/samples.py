"""Small records for tests."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from storage.database import Database, items, references, runs
from storage.database.records import CopyRecord, ItemOutcome, ItemRecord, ReferenceRecord, RunRecord, ShotRecord

ARCHIVE = "/archive/Glasplatten – Zürich"
OUTPUT = "/output/farbig"
LIBRARY = "/references"
NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def digest(letter: str) -> str:
    return letter * 64


def start_run(db: Database, **changes: Any) -> int:
    values: dict[str, Any] = {
        "archive": ARCHIVE,
        "output_root": OUTPUT,
        "references_root": LIBRARY,
        "code_version": "0.1.0",
        "weights_sha256": digest("w"),
        "index_version": "flat-1",
        "device": "cpu",
        "precision": "float32",
        "parameters": {"size": 512, "attention": "sparse"},
        "library_versions": {"torch": "2.13.0"},
        "flow_run_id": "3f1c",
        "started_at": NOON,
    }
    return runs.start(db, RunRecord(**(values | changes)))


def item(path: str, **changes: Any) -> ItemRecord:
    values: dict[str, Any] = {
        "archive": ARCHIVE,
        "path": path,
        "kind": "photograph",
        "format": "tiff",
        "width": 1024,
        "height": 768,
        "channels": 1,
        "bit_depth": 16,
        "size_bytes": 1_572_864,
        "mtime_ns": 1_700_000_000_123_456_789,
        "sha256": digest("a"),
    }
    return ItemRecord(**(values | changes))


def add_items(db: Database, *paths: str) -> list[int]:
    ids = items.upsert(db, [item(path) for path in paths])
    return [ids[path, 1] for path in paths]


def reference(path: str, **changes: Any) -> ReferenceRecord:
    values: dict[str, Any] = {
        "library": LIBRARY,
        "path": path,
        "sha256": digest("r"),
        "width": 1024,
        "height": 683,
        "embedding_version": "vgg-1",
        "embedding": np.array([0.6, 0.8, 0.0], dtype=np.float32),
    }
    return ReferenceRecord(**(values | changes))


def add_references(db: Database, *paths: str) -> list[int]:
    ids = references.upsert(db, [reference(path, sha256=digest(path[0])) for path in paths])
    return [ids[path] for path in paths]


def done(item_id: int, **changes: Any) -> ItemOutcome:
    values: dict[str, Any] = {
        "item_id": item_id,
        "state": "done",
        "request_key": digest("k"),
        "source_sha256": digest("a"),
        "output_path": f"{item_id}.tif",
        "output_sha256": digest("e"),
        "output_bytes": 4_000_000,
        "output_format": "tiff",
        "width": 1024,
        "height": 768,
        "bit_depth": 16,
        "confidence": 0.75,
        "seconds": 1.25,
        "peak_memory_bytes": 1 << 31,
        "started_at": NOON,
        "created_at": at(5),
    }
    return ItemOutcome(**(values | changes))


def failed(item_id: int, **changes: Any) -> ItemOutcome:
    values: dict[str, Any] = {
        "item_id": item_id,
        "state": "failed",
        "stage": "read",
        "error_type": "truncated",
        "message": "the file ends too early: copy it again",
        "created_at": at(6),
    }
    return ItemOutcome(**(values | changes))


def shot(number: int, first_frame: int, last_frame: int, **changes: Any) -> ShotRecord:
    values: dict[str, Any] = {
        "number": number,
        "first_frame": first_frame,
        "last_frame": last_frame,
        "frames": last_frame - first_frame + 1,
        "cut_score": 0.875 if number > 1 else None,
        "reference_score": 0.5,
        "reference_rank": 1,
        "confidence": 0.75,
        "flicker": 0.25,
        "fps": 8.0,
        "seconds": 10.0,
        "seconds_read": 1.0,
        "seconds_network": 6.0,
        "seconds_motion": 2.0,
        "seconds_chroma": 3.0,
        "seconds_write": 4.0,
        "shown_frame": (first_frame + last_frame) // 2,
    }
    return ShotRecord(**(values | changes))


def further_copy(path: str, **changes: Any) -> CopyRecord:
    values: dict[str, Any] = {
        "output_path": path,
        "output_sha256": digest("c"),
        "output_bytes": 250_000,
        "output_format": "h264",
    }
    return CopyRecord(**(values | changes))
