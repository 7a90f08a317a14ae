"""Labels: what a film made here says of itself, as tags of its container."""

from collections.abc import Mapping
from pathlib import Path

from storage.film.errors import UnreadableFilm
from storage.film.facts import open_film
from storage.film.formats import OutputFormat

_COMMENT = "comment"


def labels_for(output_format: OutputFormat, labels: Mapping[str, str], tags: Mapping[str, str]) -> dict[str, str]:
    """The tags to be set for ``labels`` in a container; ``tags`` are those that it has from the source."""
    if output_format.container == "matroska" or not labels:
        return dict(labels)
    text = "; ".join(f"{name}={value}" for name, value in labels.items())
    # Matroska writes the names of its tags in capitals
    name = next((tag for tag in tags if tag.lower() == _COMMENT), _COMMENT)
    return {name: f"{tags[name]}\n{text}" if tags.get(name) else text}


def says_of_itself(path: Path, words: str) -> bool:
    """Whether these words stand in one of a film's tags; False for what is not a film."""
    try:
        with open_film(path) as container:
            return any(words in value for value in container.metadata.values())
    except (UnreadableFilm, OSError):
        return False
