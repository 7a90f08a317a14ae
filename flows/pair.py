"""One master with one reference: no database, no Prefect, the same network and the same care for the master."""

from dataclasses import dataclass
from datetime import UTC, datetime
from os.path import lexists
from pathlib import Path
from typing import Literal

from flows.copies import ACCESS, write_copies
from flows.destination import carries_our_mark
from flows.encodings import predict
from flows.engine import resolve_device
from flows.errors import ExitCode, FlowError, UsageError
from flows.run_record import file_provenance
from storage.errors import StorageError
from storage.images import Master, WrittenDerivative, read_master

_FORMATS = {".tif": "tiff", ".tiff": "tiff", ".png": "png", ".jp2": "jp2", ".jpg": ACCESS, ".jpeg": ACCESS}


@dataclass(frozen=True, slots=True, kw_only=True)
class PairSettings:
    """What is to be colorized after what; `format` None: told by the output's suffix. The last two are for films."""

    target: Path
    reference: Path
    output: Path
    size: int = 512
    attention: Literal["sparse", "dense"] = "sparse"
    device: str = "auto"
    format: Literal["tiff", "png", "jp2"] | None = None
    shot_threshold: float = 8.0
    steady: bool = True


class PairFailed(FlowError):  # noqa: N818 - it is the outcome of the one item
    """The one master, or its reference, cannot be used."""

    exit_code = ExitCode.ITEMS_FAILED


def colorize_pair(settings: PairSettings) -> WrittenDerivative:
    """Colorize the target, a photograph, and write the copy.

    Raises:
        UsageError: a file is missing, or the output would take the place of a master or another file.
        PairFailed: target or reference cannot be read.
    """
    refuse_to_harm(settings)
    form = settings.format or _FORMATS.get(settings.output.suffix.lower())
    if form is None:
        raise UsageError(
            f"the output {settings.output} needs a name that ends in .tif, .png, .jp2 or .jpg, or --format"
        )
    target, reference = read_picture(settings.target), read_picture(settings.reference)
    if target.facts.pages > 1:
        raise PairFailed(f"{settings.target} has {target.facts.pages} pages; use `archive-colorizer run` for documents")
    from sscn import Colorizer

    colorizer = Colorizer.from_pretrained(
        "default",
        device=resolve_device(settings.device),
        attention=settings.attention,
        size=settings.size,
    )
    result = predict(colorizer, target, colorizer.encode_reference(reference.preview))
    provenance = file_provenance(settings.reference, reference.sha256, colorizer, datetime.now(UTC))
    return write_copies(result.rows, target, provenance, [form], [settings.output])[0]


def refuse_to_harm(settings: PairSettings) -> None:
    """Masters and files that are not ours stay as they are.

    Raises:
        UsageError: the output would take the place of one, or target or reference do not exist.
    """
    for name, path in (("master", settings.target), ("reference", settings.reference)):
        if not path.is_file() and not (name == "master" and path.is_dir()):
            raise UsageError(f"the {name} {path} does not exist; check the path")
        if settings.output.exists() and settings.output.samefile(path):
            raise UsageError(f"the output {settings.output} is the {name} itself; masters are never overwritten")
    if settings.output.is_dir():
        raise UsageError(f"the output {settings.output} is a folder; name a file")
    if lexists(settings.output) and not carries_our_mark(settings.output):
        raise UsageError(
            f"the output {settings.output} is there already and was not made by this program; move it away, or choose "
            "another name"
        )


def read_picture(path: Path) -> Master:
    """A picture; `PairFailed` if it cannot be read."""
    try:
        return read_master(path)
    except StorageError as error:
        raise PairFailed(error.message) from error
