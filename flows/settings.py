"""The settings of a run, validated once, at the door.

A value comes from the command line, else from the environment (`ARCHIVE_COLORIZER_SIZE=768`), else from the default.
"""

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationError, model_validator

from flows.errors import UsageError
from flows.filters import ENVIRONMENT_PREFIX as ENVIRONMENT_PREFIX
from flows.filters import FilterSettings, Folder

T = TypeVar("T", bound=FilterSettings)

DATABASE_NAME = "provenance.db"
LIBRARY_DATABASE_NAME = "library.db"


def _fraction(value: object) -> object:
    """A frame rate as it is written: 24, 23.976 or 24000/1001."""
    if isinstance(value, str):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            return value
    return value


Rate = Annotated[Fraction, BeforeValidator(_fraction), PlainSerializer(str)]
_FORMATS = "(tiff|png|jp2)"
_FILM_FORMATS = "(ffv1|h264|prores)"
_LEAST_QUALITY = 50


class RunSettings(FilterSettings):
    """Everything that decides what one run does. Frozen.

    The three folders are absolute and free of links after validation: each has one identity in the database, however
    it is written.

    Raises `pydantic.ValidationError`; `run_settings` turns that into one line for people.
    """

    archive: Folder = Field(description="folder of scanned photographs and films; never written to")
    references: Folder = Field(description="folder of colour photographs, or a reference library")
    output: Folder = Field(description="folder for the colorized copies, made when it is not there")
    database: str | None = Field(None, description="database URL; default sqlite:///OUTPUT/provenance.db")
    size: int = Field(512, ge=64, le=4096, description="long side in pixels at which the network works")
    batch_size: int = Field(16, ge=1, le=1000, description="items in one batch")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto, cpu, cuda or cuda:N")
    attention: Literal["sparse", "dense"] = Field("sparse", description="how the network looks up colours")
    candidates: int = Field(5, ge=1, le=50, description="reference candidates recorded for each item")
    variety: float = Field(0, ge=0, le=1, description="how much worse a reference may be, to spare one used before")
    low_match: float = Field(0.5, ge=0, le=1, description="match confidence below which a reference is doubtful")
    skip_low_match: bool = Field(False, description="leave out what has only a doubtful reference")
    format: str = Field(
        "tiff",
        pattern=rf"^{_FORMATS}(,{_FORMATS})*$",
        description="tiff, png or jp2 for the photographs, or several of them",
    )
    access: str | None = Field(
        None, pattern=r"^jpeg(:[1-9]\d{0,4})?$", description="a JPEG of each picture besides: jpeg, or jpeg:LONG SIDE"
    )
    pdf: Literal["pdf", "tiff"] = Field("pdf", description="whether the copy of a PDF is a PDF or a TIFF of its pages")
    pdf_quality: int | None = Field(
        None, ge=_LEAST_QUALITY, le=100, description="JPEG quality in PDF copies, also of pages that had no JPEG"
    )
    colorize_all: bool = Field(False, description="colorize also text, blanks, negatives and what is in colour already")
    film_format: str = Field(
        "ffv1", pattern=rf"^{_FILM_FORMATS}(,{_FILM_FORMATS})*$", description="ffv1, h264, prores, or several of them"
    )
    shot_threshold: float = Field(8.0, gt=0, le=100, description="percent of change that counts as a cut")
    steady: bool = Field(True, description="carry a film's colours over from frame to frame")
    sequences: Literal["auto", "always", "never"] = Field(
        "auto", description="whether a folder of numbered TIFF or DPX pictures is a film"
    )
    sequence_rate: Rate = Field(Fraction(24), gt=0, le=1000, description="frames a second of a folder of frames")
    reference: Folder | None = Field(None, description="reference of the films' shots: a picture, a CSV or a folder")
    pins: Folder | None = Field(None, description="CSV of references tied to items, folders or shots")
    max_pixels: int = Field(200_000_000, ge=1, description="a master that claims more pixels is refused unread")
    retry_failed: bool = Field(False, description="try again what failed in an earlier run")
    dry_run: bool = Field(False, description="only say what would be done")
    vgg_weights: Folder | None = Field(None, description="VGG-16 weights of your own (torchvision format)")
    workers: int = Field(1, ge=1, le=256, description="worker processes on this machine; 1: the run's own process")
    cluster: str | None = Field(
        None, pattern=r"^(tcp|tls)://\S+:\d+$", description="address of a Dask scheduler whose workers do the work"
    )
    log: str | None = Field(None, description="file that gets a line for every item and event; - is stderr")
    log_form: Literal["json", "text"] = Field("json", description="whether these lines are JSON objects or text")
    metrics: Folder | None = Field(None, description="file of metrics for node_exporter's textfile collector (.prom)")
    prefect: bool = Field(True, description="record the run in Prefect")

    @model_validator(mode="after")
    def _check_folders(self) -> Self:
        for name in ("archive", "references", "output"):
            object.__setattr__(self, name, _resolved(name, getattr(self, name)))
        for name in ("archive", "references"):
            folder = getattr(self, name)
            if not folder.is_dir():
                what = "is not a folder" if folder.exists() else "does not exist"
                raise ValueError(f"the {name} folder {folder} {what}; check the path")
        if self.output.exists() and not self.output.is_dir():
            raise ValueError(f"the output {self.output} is not a folder; give the path of a folder")
        if self.vgg_weights is not None and not self.vgg_weights.is_file():
            raise ValueError(f"the weights file {self.vgg_weights} does not exist; check the path")
        if self.reference is not None and not self.reference.exists():
            raise ValueError(f"the reference {self.reference} does not exist; check the path")
        if self.pins is not None and not self.pins.is_file():
            raise ValueError(f"the pins {self.pins} are no file; give the path of a CSV")
        for option, formats in (("format", self.format), ("film-format", self.film_format)):
            if len(set(formats.split(","))) < len(formats.split(",")):
                raise ValueError(f"--{option}: {formats} names a format twice; name each once")
        self._check_apart()
        self._check_cluster()
        return self

    def _check_apart(self) -> None:
        """Masters are never written to, nor anything beside them; results must not become references."""
        archive, references, output = self.archive, self.references, self.output
        remedy = "choose an output folder elsewhere"
        if output.is_relative_to(archive):
            raise ValueError(f"the output folder {self.output} lies inside the archive; {remedy}")
        if archive.is_relative_to(output):
            raise ValueError(f"the archive {self.archive} lies inside the output folder; {remedy}")
        if output.is_relative_to(references):
            raise ValueError(f"the output folder {self.output} lies inside the references; {remedy}")
        if references.is_relative_to(output):
            raise ValueError(f"the references {self.references} lie inside the output folder; {remedy}")
        database = sqlite_path(self.database_url)
        if database is not None and database.resolve().is_relative_to(archive):
            raise ValueError(f"the database {database} lies inside the archive; choose a place elsewhere")

    def _check_cluster(self) -> None:
        if self.cluster is None:
            return
        if self.workers > 1:
            raise ValueError("--workers are started on this machine, --cluster has its own; give one of the two")
        host = (urlsplit(self.cluster).hostname or "").lower()
        if sqlite_path(self.database_url) is not None and host not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(
                "workers on other machines cannot share a SQLite file; give a PostgreSQL --database for --cluster"
            )

    @property
    def is_spread(self) -> bool:
        """Whether other processes do the work."""
        return self.cluster is not None or self.workers > 1

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats of a photograph's copies, the main one first, that for access last."""
        return (*self.format.split(","), *self.access_formats)

    @property
    def access_formats(self) -> tuple[str, ...]:
        """The format of copies for access, if there are to be any."""
        return (self.access,) if self.access else ()

    @property
    def film_formats(self) -> tuple[str, ...]:
        """The formats of a film's copies, the main one first."""
        return tuple(self.film_format.split(","))

    @property
    def database_url(self) -> str:
        """SQLAlchemy URL of the provenance database."""
        return self.database or default_database(self.output)


def _resolved(name: str, folder: Path) -> Path:
    try:
        return folder.resolve()
    except (OSError, RuntimeError) as error:
        raise ValueError(f"the {name} folder {folder} cannot be found (links in a circle); check the path") from error


def default_database(output: Path) -> str:
    """The database that belongs to an output folder when no other is named."""
    return f"sqlite:///{output.absolute() / DATABASE_NAME}"


def sqlite_path(url: str) -> Path | None:
    """The file behind a SQLite URL; None for any other database."""
    scheme, separator, rest = url.partition(":///")
    if not separator or not scheme.startswith("sqlite") or not rest:
        return None
    return Path(rest.partition("?")[0])


def run_settings(given: Mapping[str, Any]) -> RunSettings:
    """Settings from what the command line gave (None: not given), the environment and the defaults.

    Raises:
        UsageError: one line that names the first wrong setting and the remedy.
    """
    return _settings(RunSettings, given)


def filter_settings(given: Mapping[str, Any]) -> FilterSettings:
    """The conditions on references alone, made and refused like the settings of a run.

    Raises:
        UsageError: one line that names the first wrong setting and the remedy.
    """
    return _settings(FilterSettings, given)


def _settings(kind: type[T], given: Mapping[str, Any]) -> T:
    try:
        return kind(**{name: value for name, value in given.items() if value is not None and value != []})
    except ValidationError as error:
        raise UsageError(_first_line(error)) from error


def _first_line(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "missing":
        option = name.upper() if name == "archive" else f"--{name.replace('_', '-')}"
        return f"{option} is missing; give it on the command line or set {ENVIRONMENT_PREFIX}{name.upper()}"
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    option = f"--{name.replace('_', '-')}"
    if problem["type"] == "string_pattern_mismatch":
        known = {
            "device": "auto, cpu, cuda or cuda:N",
            "format": "tiff, png or jp2, or several with commas",
            "film_format": "ffv1, h264 or prores, or several with commas",
            "cluster": "an address like tcp://scheduler:8786",
            "access": "jpeg, or jpeg:2048 for a long side of 2048 pixels",
        }
        return f"{option}: {problem['input']!r} is not known; use {known[name]}"
    if name == "sequence_rate":
        return (
            f"{option}: {str(problem['input'])!r} is no frame rate up to 1000; write it like 24, 23.976 or 24000/1001"
        )
    message = problem["msg"].removeprefix("Input should be ")
    return f"{option}: {problem['input']!r} does not fit; it should be {message}"
