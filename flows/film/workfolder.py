"""Where a film's segments wait until all are there: in the output folder, each with a record by which it is checked.

    .archive-colorizer/film/FILM/film                            which film it is
                            FILM/REQUEST/shot-00001-00001.mkv    one file for each format
                                        /shot-00001-00001.state  what the next segment of the shot goes on from
                                        /shot-00001-00001.json   written last: the segment is whole

A segment is kept only while its record fits the request, the reference of its shot and the bytes of its files.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from flows.film.analysis import Part
from flows.unfinished import UnfinishedWork, digest
from flows.unfinished import sweep as sweep_works
from storage.film import OutputFormat
from storage.fixity import atomic_write, sha256_file

WORK_FOLDER = ".archive-colorizer/film"
_NAME = "film"
State = Mapping[str, NDArray[np.float32]]


class PartRecord(BaseModel):
    """What is known of a finished segment. `key` says what it was made from and with; digests are SHA-256."""

    model_config = ConfigDict(frozen=True)

    key: str
    frames: int
    files: dict[str, str]
    state_sha256: str
    confidence: float
    flicker: float | None
    flicker_frames: int
    seconds: dict[str, float]
    wall_seconds: float


def sweep(output: Path, archive: str, pending: Iterable[str]) -> None:
    """Remove the segments of films of this archive that are not to be made; `pending` are paths, as text."""
    sweep_works(output / WORK_FOLDER, _NAME, archive, pending)


class WorkFolder:
    """The segments of one film for one request.

    Args:
        output: the output folder.
        film: its `identity`.
        request: identifies everything that decides the pixels, apart from the references of the shots.
    """

    def __init__(self, output: Path, film: str, request: str, formats: Sequence[OutputFormat]) -> None:
        self._work = UnfinishedWork(output / WORK_FOLDER, _NAME, film, request)
        self._request = request
        self._formats = formats

    def open(self) -> None:
        """Make the folder; segments of the same film for other requests are removed."""
        self._work.open()

    def remove(self) -> None:
        """The film is joined: nothing here is needed any more."""
        self._work.remove()

    def key(self, part: Part, reference_sha256: str) -> str:
        """What a segment is made from and with."""
        return digest(self._request, reference_sha256, f"{part.shot} {part.number} {part.first} {part.last}")

    def file(self, part: Part, output_format: OutputFormat) -> Path:
        """The segment's file in one format."""
        return self._work.folder / f"{part.name}{output_format.suffix}"

    def kept(self, part: Part, reference_sha256: str) -> PartRecord | None:
        """The record of a segment that is whole and still fits; None if it is to be made."""
        try:
            record = PartRecord.model_validate_json(self._record(part).read_bytes())
            fits = record.key == self.key(part, reference_sha256) and record.frames == len(part)
            whole = fits and self._digests(part) == record.files
            return record if whole and sha256_file(self._state(part)) == record.state_sha256 else None
        except (OSError, ValidationError):
            return None

    def state_after(self, part: Part) -> State | None:
        """What the frame after a segment goes on from; None if it cannot be read."""
        try:
            return load_file(self._state(part))
        except (OSError, SafetensorError):
            return None

    def write_state(self, part: Part, state: State) -> str:
        """Keep it; returns the file's digest."""
        with atomic_write(self._state(part)) as partial:
            save_file({name: np.ascontiguousarray(value) for name, value in state.items()}, partial)
        return sha256_file(self._state(part))

    def write_record(self, part: Part, record: PartRecord) -> None:
        """Say that the segment is whole."""
        with atomic_write(self._record(part)) as partial:
            partial.write_text(record.model_dump_json(indent=1), encoding="utf-8")

    def _record(self, part: Part) -> Path:
        return self._work.folder / f"{part.name}.json"

    def _state(self, part: Part) -> Path:
        return self._work.folder / f"{part.name}.state"

    def _digests(self, part: Part) -> dict[str, str]:
        return {one.name: sha256_file(self.file(part, one)) for one in self._formats}
