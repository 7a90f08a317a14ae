"""Runs and items as a gallery takes them, and readers of what it writes."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from storage.database.records import Candidate, RecordedShot, RunColorization, RunCounts, StoredRun

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def stored_run(output: Path) -> StoredRun:
    return StoredRun(
        id=7,
        flow_run_id=None,
        started_at=WHEN,
        ended_at=WHEN,
        seconds=12.5,
        state="completed_with_failures",
        archive="/archive/<b>",
        output_root=str(output),
        references_root="/references",
        counts=RunCounts(3, 2, 1, 0),
        code_version="1",
        weights_sha256="ab" * 32,
        index_version=None,
        device="cpu",
        precision="float32",
        hostname="host",
        pid=1,
        library_versions={},
        parameters={"size": 512},
        message=None,
    )


def colorization(number: int, state: str = "done", path: str | None = None) -> RunColorization:
    done = state == "done"
    name = path or f"photo {number:05}.jpg"
    return RunColorization(
        id=number,
        run_id=7,
        item_id=number,
        archive="/archive",
        path=name,
        page=1,
        kind="photograph",
        state=state,  # type: ignore[arg-type]
        request_key=None,
        source_sha256="cd" * 32,
        reference_id=1 if done else None,
        reference_library="/references",
        reference_path="meadow & sky.jpg" if done else None,
        reference_sha256="ef" * 32,
        reference_score=0.75,
        reference_rank=1,
        output_root="/out",
        output_path=f"{name}.tif" if done else None,
        output_sha256="01" * 32,
        output_bytes=10,
        output_format="tiff",
        width=100,
        height=50,
        bit_depth=16,
        weights_sha256=None,
        index_version=None,
        device=None,
        precision=None,
        confidence=0.5,
        seconds=1.25,
        peak_memory_bytes=None,
        started_at=None,
        created_at=WHEN,
        stage=None if done else "read",
        error_type=None if done else "truncated",
        message=None if done else f"{name} is cut off <here>",
        superseded_at=None,
        candidates=(
            Candidate(
                reference_id=1,
                library="/references",
                path="meadow & sky.jpg",
                sha256=None,
                rank=1,
                score=0.75,
                chosen=True,
            ),
            Candidate(
                reference_id=2, library="/references", path="<sea>.jpg", sha256=None, rank=2, score=0.5, chosen=False
            ),
        ),
    )


def film(number: int, shots: int = 3, path: str = "reel.mkv") -> RunColorization:
    """A film; its shots have 100 frames each and take turns with two references."""
    made = tuple(
        RecordedShot(
            number=shot,
            first_frame=100 * (shot - 1),
            last_frame=100 * shot - 1,
            frames=100,
            reference_id=1 + shot % 2,
            reference_path="<sea>.jpg" if shot % 2 else "meadow & sky.jpg",
            reference_score=0.7,
            reference_rank=1,
            confidence=0.4 + shot / 10,
            reference_library="/references",
        )
        for shot in range(1, shots + 1)
    )
    return replace(colorization(number, path=path), kind="film", shots=made, frames=100 * shots, confidence=0.6)


class Outline(HTMLParser):
    """Checks that elements are closed in the order in which they were opened; keeps tags with their attributes."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"{tag} has an attribute twice"
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Attributes of all elements of one kind."""
        return [attributes for name, attributes in self.tags if name == tag]


def data_calls(folder: Path, what: str) -> Iterator[list[Any]]:
    """The contents of the data of one kind, in order."""
    for file in sorted((folder / "data").glob(f"{what}*.js")):
        text = file.read_text(encoding="ascii")
        assert text.startswith("galleryData(")
        assert text.endswith(");\n")
        yield json.loads(f"[{text.removeprefix('galleryData(').removesuffix(');' + chr(10))}]")
