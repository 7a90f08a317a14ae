"""Which references may be used at all, as it is asked for on the command line or in the environment."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from flows.errors import UsageError
from storage.paths import path_to_text, text_to_path

if TYPE_CHECKING:  # see flows.engine
    from retrieval import ReferenceFilter

ENVIRONMENT_PREFIX = "ARCHIVE_COLORIZER_"
FILTERS = ("rights", "tags", "years", "only_references", "never_references")
_YEARS = re.compile(r"(\d{4})(?:-(\d{4}))?")


def expanded(value: object) -> object:
    """A path with the home folder in place of `~`."""
    return Path(value).expanduser() if isinstance(value, str | Path) and str(value) else value


def _texts(value: object) -> object:
    """In the environment several texts stand in one variable, with semicolons between them."""
    return tuple(text.strip() for text in value.split(";") if text.strip()) if isinstance(value, str) else value


Folder = Annotated[Path, BeforeValidator(expanded)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_texts)]


class FilterSettings(BaseSettings):
    """Conditions on references. Frozen; see `flows.settings.filter_settings`."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, env_ignore_empty=True, frozen=True, extra="ignore")

    rights: Texts = Field((), description="only references with one of these rights")
    tags: Texts = Field((), description="only references that have all of these tags")
    years: str | None = Field(None, description="only references of these years, 1936 or 1900-1940")
    only_references: Folder | None = Field(None, description="list of the references that may be used")
    never_references: Folder | None = Field(None, description="list of references that may not")

    @model_validator(mode="after")
    def _check_filters(self) -> Self:
        if self.years is not None and self.year_range is None:
            raise ValueError(f"--years: {self.years!r} is not understood; write it like 1936 or 1900-1940")
        for name in ("only_references", "never_references"):
            file = getattr(self, name)
            if file is not None and not file.is_file():
                raise ValueError(f"the list of references {file} does not exist; check the path")
        return self

    @property
    def year_range(self) -> tuple[int, int] | None:
        """First and last year, both included."""
        written = _YEARS.fullmatch((self.years or "").strip())
        if written is None or written[1] > (written[2] or written[1]):
            return None
        return int(written[1]), int(written[2] or written[1])


def reference_filter(settings: FilterSettings, folder: Path) -> "ReferenceFilter | None":
    """The filter that the settings ask for; None for all references.

    Args:
        settings: the conditions.
        folder: the references' own; paths in the lists are relative to the list, else to it.

    Raises:
        UsageError: a list cannot be read, or is empty.
    """
    if not any(getattr(settings, name) for name in FILTERS):
        return None
    from retrieval import ReferenceFilter

    return ReferenceFilter(
        rights=settings.rights,
        tags=settings.tags,
        years=settings.year_range,
        only=_listed(settings.only_references, folder) if settings.only_references else None,
        never=_listed(settings.never_references, folder) if settings.never_references else (),
    )


def told(settings: FilterSettings) -> str:
    """The options that were given, for messages."""
    given = ["tag" if name == "tags" else name.replace("_", "-") for name in FILTERS if getattr(settings, name)]
    return ", ".join(f"--{name}" for name in given)


def _listed(file: Path, folder: Path) -> tuple[Path, ...]:
    """The pictures that a list names, one a line; names need not be UTF-8."""
    try:
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        raise UsageError(f"the list of references {path_to_text(file)} cannot be read ({reason})") from error
    found = tuple(_place(os.fsdecode(line.strip()), file.parent, folder) for line in lines if line.strip())
    if not found:
        raise UsageError(f"the list of references {path_to_text(file)} is empty; write one path a line")
    return found


def _place(written: str, *folders: Path) -> Path:
    """Where a picture lies: in the first folder that has it, else in the last one."""
    try:
        path = text_to_path(written)
    except ValueError:  # a backslash that is no escape
        path = Path(written)
    places = [Path(os.path.normpath(folder.resolve() / path)) for folder in folders]
    return next((place for place in places if os.path.lexists(place)), places[-1])
