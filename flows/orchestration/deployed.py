"""What a deployment does besides runs: keep the reference library up to date, and check the files."""

from pathlib import Path
from typing import Annotated

from prefect import State, flow
from prefect.states import Completed, Failed
from pydantic import Field

from flows.errors import UsageError
from flows.fixity import Ledger, Wanted, counts, open_to_verify
from flows.fixity import verify as verify_all
from flows.progress import SilentProgress
from storage.paths import path_to_text, text_to_path

_NAMED = 20


@flow(name="index-references", persist_result=False)
def index_references(
    library: Annotated[str, Field(description="folder of the reference library, made when it is not there")],
    folders: Annotated[list[str], Field(description="folders of colour photographs; only what is new is embedded")],
    device: Annotated[str, Field(description="auto, cpu, cuda or cuda:N")] = "auto",
) -> State[dict[str, int]]:
    """Take new and changed colour photographs into a reference library.

    The state is Completed also when single files could not be used; its message names them.

    Raises:
        UsageError: a folder does not exist.
    """
    from flows.engine import resolve_device
    from retrieval import ReferenceLibrary
    from storage.decoding import Decoder

    paths = [text_to_path(folder) for folder in folders]
    for path in paths:
        if not path.is_dir():
            raise UsageError(f"the folder {path} does not exist; check the path")
    with (
        Decoder() as decoder,
        ReferenceLibrary.open(text_to_path(library), device=resolve_device(device), read=decoder.read) as opened,
    ):
        report = opened.add(paths)
        there = len(opened)
    message = f"{report.added} added, {report.unchanged} unchanged, {len(report.failed)} failed, {there} in the library"
    message += "".join(f"\n{one.message}" for one in report.failed[:_NAMED])
    return Completed(message=message, data={"added": report.added, "failed": len(report.failed), "references": there})


@flow(name="verify-fixity", persist_result=False)
def verify_fixity(
    output: Annotated[
        str | None, Field(description="output folder; empty: that of ARCHIVE_COLORIZER_OUTPUT on the worker")
    ] = None,
) -> State[dict[str, int]]:
    """Hash masters, references and copies again, and check the record.

    The state is Failed when a file or the record is not as it was, so that those who are to know are told; its message
    names the first of them, `archive-colorizer verify` all.

    Raises:
        UsageError: there is nothing on record.
        EnvironmentProblem, DatabaseError: files or record cannot be read.
    """
    folder, url = _where(output)
    wanted = Wanted(output=folder if url is not None else None)
    with Ledger() as ledger, open_to_verify(url, folder) as database:
        result = verify_all(database, wanted, ledger, SilentProgress())
        message = counts(wanted, result.files, result.findings)
        for row, _ in zip(ledger.rows(), range(_NAMED), strict=False):
            message += f"\n{row['path']}: {row['finding']}"
    figures = {"files": result.files, "findings": result.findings}
    return Failed(message=message, data=figures) if result.findings else Completed(message=message, data=figures)


def _where(output: str | None) -> tuple[Path | None, str | None]:
    """The output folder and the database URL, as the command line would find them."""
    from os import environ

    text = output or environ.get("ARCHIVE_COLORIZER_OUTPUT")
    folder = None if text is None else text_to_path(path_to_text(Path(text).expanduser()) if output is None else text)
    return folder, environ.get("ARCHIVE_COLORIZER_DATABASE")
