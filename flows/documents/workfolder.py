"""Where a document's colorized pages wait: in the output folder, each with the outcome that goes with it.

.archive-colorizer/documents/WORK/document                    which document it is
                             WORK/REQUEST/page-00001.tif      a page in colour
                                          page-00001-1.jpg    its access copies
                                          page-00001.json     written last: the page is whole
"""

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from pydantic import TypeAdapter, ValidationError

from flows.unfinished import UnfinishedWork, sweep
from storage.database.records import ItemOutcome
from storage.fixity import atomic_write, sha256_file
from storage.paths import path_to_text, text_to_path

WORK_FOLDER = ".archive-colorizer/documents"
_NAME = "document"
_OUTCOME = TypeAdapter(ItemOutcome)


def sweep_documents(output: Path, archive: str, pending: Iterable[str]) -> None:
    """Remove the pages of documents of this archive that are not to be made; `pending` are paths, as text."""
    sweep(output / WORK_FOLDER, _NAME, archive, pending)


class PageFolder:
    """The pages of one document for one request.

    Args:
        output: the output folder.
        document: its `flows.unfinished.identity`.
        request: identifies everything that decides the pixels.
    """

    def __init__(self, output: Path, document: str, request: str) -> None:
        self._output = output
        self._work = UnfinishedWork(output / WORK_FOLDER, _NAME, document, request)

    def open(self) -> None:
        """Make the folder; pages made for other requests are removed."""
        self._work.open()

    def remove(self) -> None:
        """The document is whole: nothing here is needed any more."""
        self._work.remove()

    def file(self, page: int) -> Path:
        """Of a page in colour, a TIFF."""
        return self._work.folder / f"page-{page:05}.tif"

    def output_paths(self, page: int, access: Sequence[str]) -> tuple[str, ...]:
        """The files of the page and of its access copies, whose paths these are, relative to the output folder."""
        file = self.file(page)
        copies = (
            file.with_name(f"{file.stem}-{number}{PurePosixPath(path).suffix}")
            for number, path in enumerate(access, start=1)
        )
        return tuple(path_to_text(one.relative_to(self._output)) for one in (file, *copies))

    def keep(self, page: int, outcome: ItemOutcome) -> None:
        """Say that the page's file is whole, and what is to be recorded of it."""
        with atomic_write(self._record(page)) as partial:
            partial.write_bytes(_OUTCOME.dump_json(outcome))

    def kept(self, page: int, request_key: str) -> ItemOutcome | None:
        """The outcome of a page that is whole and was made for this; None if it is to be made."""
        try:
            outcome = _OUTCOME.validate_json(self._record(page).read_bytes())
            fits = outcome.state == "done" and outcome.request_key == request_key
            files = [(self.file(page), outcome.output_sha256)]
            files += [(self._output / text_to_path(copy.output_path), copy.output_sha256) for copy in outcome.copies]
            return outcome if fits and all(sha256_file(file) == digest for file, digest in files) else None
        except (OSError, ValidationError):
            return None

    def _record(self, page: int) -> Path:
        return self.file(page).with_suffix(".json")
