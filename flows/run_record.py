"""What is recorded of a run as a whole, in the database and inside every copy."""

from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from flows.engine import Engine
from flows.filters import FILTERS
from flows.settings import RunSettings
from flows.version import code_version
from storage.database.records import RunRecord
from storage.fixity import sha256_file
from storage.images import DerivativeProvenance
from storage.paths import path_to_text

if TYPE_CHECKING:  # see flows.engine
    from sscn import Colorizer

SOFTWARE = "archive-colorizer"
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
AI_SYSTEM = "SSCN exemplar-based colorization"
_LIBRARIES = (
    "torch",
    "numpy",
    "faiss-cpu",
    "av",
    "imageio-ffmpeg",
    "opencv-python-headless",
    "pillow",
    "tifffile",
    "imagecodecs",
    "pikepdf",
    "pypdfium2",
    "prefect",
    "sqlalchemy",
)


FILES = ("reference", "pins", "only_references", "never_references", "vgg_weights")
"""Settings that name a file or folder besides archive, references and output."""


def run_record(
    settings: RunSettings, engine: Engine, started_at: datetime, flow_run_id: str | None, threads: int
) -> RunRecord:
    """The run's row at its start. The version of the reference index follows when the references are indexed.

    Args:
        threads: with which its networks compute, in each process.
    """
    return RunRecord(
        archive=path_to_text(settings.archive),
        output_root=path_to_text(settings.output),
        references_root=path_to_text(settings.references),
        code_version=code_version(),
        weights_sha256=engine.colorizer.weights_sha256,
        device=engine.colorizer.device,
        precision=engine.colorizer.precision,
        started_at=started_at,
        flow_run_id=flow_run_id,
        parameters={
            **engine.colorizer.parameters,
            "candidates": settings.candidates,
            "variety": settings.variety,
            "low_match": settings.low_match,
            "skip_low_match": settings.skip_low_match,
            "format": settings.format,
            "access": settings.access,
            "pdf": settings.pdf,
            "pdf_quality": settings.pdf_quality,
            "colorize_all": settings.colorize_all,
            "film_format": settings.film_format,
            "shot_threshold": settings.shot_threshold,
            "steady": settings.steady,
            "batch_size": settings.batch_size,
            "max_pixels": settings.max_pixels,
            "sequences": settings.sequences,
            "sequence_rate": str(settings.sequence_rate),
            "threads": threads,
            "workers": settings.workers,
            "cluster": settings.cluster,
            **_conditions(settings),
            **_files(settings),
        },
        library_versions=library_versions(),
    )


def _conditions(settings: RunSettings) -> dict[str, object]:
    """The conditions on references that were given, without those in files."""
    given = {name: getattr(settings, name) for name in FILTERS}
    return {name: value for name, value in given.items() if value and not isinstance(value, Path)}


def _files(settings: RunSettings) -> dict[str, str]:
    """What people chose in files: where these lie, and what was in them."""
    found: dict[str, str] = {}
    for name in FILES:
        path: Path | None = getattr(settings, name)
        if path is not None:
            found[name] = path_to_text(path.absolute())
            if path.is_file():
                found[f"{name}_sha256"] = sha256_file(path)
    return found


def library_versions() -> dict[str, str]:
    """Versions of the packages that can change a result."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def film_labels(source_sha256: str, colorizer: "Colorizer") -> dict[str, str]:
    """What a colorized film says of itself in its metadata. No time: the same work gives the same bytes."""
    parameters = ", ".join(f"{name}={value}" for name, value in colorizer.parameters.items())
    return {
        "SOFTWARE_AGENT": f"{SOFTWARE} {code_version()}",
        "DIGITAL_SOURCE_TYPE": DIGITAL_SOURCE_TYPE,
        "AI_SYSTEM_USED": AI_SYSTEM,
        "AI_SYSTEM_VERSION_USED": colorizer.weights_sha256,
        "AI_PARAMETERS": parameters,
        "DERIVED_FROM_SHA256": source_sha256,
    }


def file_provenance(
    reference: Path | None, reference_sha256: str | None, colorizer: "Colorizer", when: datetime
) -> DerivativeProvenance:
    """What a copy says about how it came to be; without a reference where it has several.

    `when` is what is on record as the start of the work: with it the same bytes can be made again.
    """
    return DerivativeProvenance(
        software=SOFTWARE,
        version=code_version(),
        ai_system=AI_SYSTEM,
        ai_system_version=colorizer.weights_sha256,
        when=when,
        parameters=colorizer.parameters,
        reference_name=path_to_text(reference.name) if reference is not None else None,
        reference_sha256=reference_sha256,
    )
