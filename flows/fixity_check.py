"""Verify: are masters, references and copies still the bytes that the database has on record?"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from flows.progress import Progress
from storage.database.records import OutputRecord, ReferenceFile
from storage.film import UnreadableFilm, film_sha256
from storage.paths import path_to_text, text_to_path

THREADS = 4  # hashing lets go of the interpreter; more threads only help on fast storage
COLUMNS = ("what", "finding", "path", "expected_sha256", "found_sha256")


@dataclass(frozen=True, slots=True)
class Finding:
    """A file that is not what it was.

    `what` is source, output or reference; `finding` is changed, missing or unreadable.
    """

    what: str
    finding: str
    path: str
    expected_sha256: str
    found_sha256: str | None

    def as_row(self) -> dict[str, object]:
        """For a listing."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Expected:
    what: str
    path: Path
    sha256: str


def check_outputs(records: Sequence[OutputRecord], progress: Progress) -> tuple[list[Finding], int]:
    """Hash every file of the records once; returns what differs, by path, and how many files were looked at."""
    expected = sorted({one for record in records for one in _expected(record)}, key=lambda one: (one.path, one.what))
    progress.begin(len(expected), "files")
    findings = []
    pool = ThreadPoolExecutor(THREADS)
    try:
        for finding in pool.map(_check, expected):
            progress.advance(failed=finding is not None)
            if finding is not None:
                findings.append(finding)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for the files in hand, not for all the others
    return findings, len(expected)


def _expected(record: OutputRecord) -> list[_Expected]:
    files = [
        _Expected(
            "output",
            text_to_path(record.output_root) / text_to_path(record.output_path),
            record.output_sha256,
        )
    ]
    if record.source_sha256:
        source = text_to_path(record.archive) / text_to_path(record.path)
        files.append(_Expected("source", source, record.source_sha256))
    return [*files, *_references(record)]


def _references(record: OutputRecord) -> Iterator[_Expected]:
    used = list(record.shot_references)
    if record.reference_path and record.reference_sha256:
        used.append(ReferenceFile(record.reference_library, record.reference_path, record.reference_sha256))
    for reference in used:
        path = text_to_path(reference.path)
        if reference.library is not None:
            path = text_to_path(reference.library) / path
        if path.is_absolute():  # else it is not known where it lay
            yield _Expected("reference", path, reference.sha256)


def _check(expected: _Expected) -> Finding | None:
    found = None
    try:
        found = film_sha256(expected.path)  # a film may be a folder of frames
        finding = "changed"
    except UnreadableFilm:  # frames were removed or added
        finding = "changed"
    except (FileNotFoundError, NotADirectoryError):
        finding = "missing"
    except OSError:
        finding = "unreadable"
    if found == expected.sha256:
        return None
    return Finding(expected.what, finding, path_to_text(expected.path), expected.sha256, found)
