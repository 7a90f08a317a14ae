"""What a run asks for: everything that decides the pixels of its copies, apart from the masters."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flows.planning import Request
from flows.settings import RunSettings
from storage.database.records import Kind
from storage.fixity import sha256_bytes
from storage.paths import path_to_text

if TYPE_CHECKING:  # see flows.engine
    from sscn import Colorizer


def requests_of(settings: RunSettings, colorizer: "Colorizer") -> Mapping[Kind, Request]:
    """One request for photographs, one for films.

    The references count by their folder, not by what is in it: one more picture there must not make a whole
    archive pending. References given for films count with their names and sizes.
    """
    from retrieval.embedding import embedding_version
    from sscn.film import FILM_VERSION

    # how many candidates are looked at, and with which eyes, decides which reference is taken
    version = embedding_version(settings.vgg_weights)
    choice = f"automatic:{path_to_text(settings.references)}:best of {settings.candidates}:{version}"
    photographs = Request(
        reference_choice=choice,
        weights_sha256=colorizer.weights_sha256,
        parameters=colorizer.parameters,
        output_formats=(settings.format,),
    )
    films = Request(
        reference_choice=f"{choice}:{_given(settings)}",
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
    return {"photograph": photographs, "film": films}


def _given(settings: RunSettings) -> str:
    """The references that a person gave, as one word that changes when they do."""
    given = settings.reference
    if given is None:
        return "none given"
    files = sorted(given.rglob("*")) if given.is_dir() else [given]
    states = [(path, path.stat()) for path in files if path.is_file()]
    lines = [f"{path_to_text(path)} {status.st_size} {status.st_mtime_ns}" for path, status in states]
    return sha256_bytes("\n".join(lines).encode())
