"""What a run asks for: everything that decides the pixels of its copies, apart from the masters."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from flows.film.given import GivenReferences
from flows.planning import Request
from flows.settings import RunSettings
from storage.database.records import Kind
from storage.fixity import sha256_bytes
from storage.paths import path_to_text

if TYPE_CHECKING:  # see flows.engine
    from retrieval import ReferenceFilter
    from sscn import Colorizer


def requests_of(
    settings: RunSettings, colorizer: "Colorizer", given: GivenReferences, where: "ReferenceFilter | None"
) -> Mapping[Kind, Request]:
    """One request for photographs, one for the pages of documents, one for films.

    The references count by their folder, not by what is in it: one more picture there must not make a whole
    archive pending. The filter counts by its conditions, references given for films with their pictures.
    """
    from retrieval.rerank import ranking_version
    from sscn.film import FILM_VERSION

    # with which eyes references are looked at decides which one is taken; how many are recorded does not
    version = ranking_version(settings.vgg_weights)
    choice = f"automatic:{path_to_text(settings.references)}:{version}"
    if where is not None:
        choice += f":{where.key}"
    photographs = Request(
        reference_choice=choice + _variety(settings),
        weights_sha256=colorizer.weights_sha256,
        parameters=colorizer.parameters,
        output_formats=settings.formats,
    )
    quality = {} if settings.pdf_quality is None else {"pdf_quality": settings.pdf_quality}
    pdf_pages = replace(
        photographs,
        parameters={**colorizer.parameters, **quality},
        output_formats=(settings.pdf, *settings.access_formats),
    )
    pages = replace(photographs, output_formats=("tiff", *settings.access_formats), pdf=pdf_pages)
    films = Request(
        reference_choice=f"{choice}:{_state(given)}",
        weights_sha256=colorizer.weights_sha256,
        parameters={
            **colorizer.parameters,
            "film": FILM_VERSION,
            "steady": settings.steady,
            "shot_threshold": settings.shot_threshold,
            "sequence_rate": str(settings.sequence_rate),
        },
        output_formats=settings.film_formats,
    )
    return {"photograph": photographs, "page": pages, "film": films}


def _variety(settings: RunSettings) -> str:
    """Who takes references in turn takes them of the candidates that are recorded, so that their number counts."""
    return f":variety {settings.variety:g} of {settings.candidates}" if settings.variety else ""


def _state(given: GivenReferences) -> str:
    """The references that a person gave, as one word that changes when they do."""
    if not given.entries:
        return "none given"
    lines = []
    for entry in given.entries:
        status = entry.picture.stat()
        lines.append(f"{entry.film} {entry.frame} {path_to_text(entry.picture)} {status.st_size} {status.st_mtime_ns}")
    return sha256_bytes("\n".join(lines).encode())
