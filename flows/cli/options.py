"""Options that several commands share, as annotated types. An option that is not given is None (see flows.settings)."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from flows.listing import ListingFormat


class OutputFormat(StrEnum):
    """File formats of the colorized copies."""

    TIFF = "tiff"
    PNG = "png"
    JP2 = "jp2"


class PdfCopy(StrEnum):
    """What the copy of a PDF is."""

    PDF = "pdf"
    TIFF = "tiff"


class FilmFormat(StrEnum):
    """Formats of colorized films."""

    FFV1 = "ffv1"
    H264 = "h264"
    PRORES = "prores"


class Sequences(StrEnum):
    """When a folder of numbered pictures is a film."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Attention(StrEnum):
    """How the network looks up colours in the reference."""

    SPARSE = "sparse"
    DENSE = "dense"


# what a run is asked to do; each is read from the environment by flows.settings when it is not given
Archive = Annotated[
    Path | None, typer.Argument(metavar="ARCHIVE", help="Folder of scanned photographs and films. Never written to.")
]
References = Annotated[
    Path | None,
    typer.Option("--references", metavar="DIR", help="Folder of colour photographs, or a reference library."),
]
Output = Annotated[
    Path | None,
    typer.Option("--output", metavar="DIR", help="Folder for the colorized copies and the gallery."),
]
Database = Annotated[
    str | None,
    typer.Option("--database", metavar="URL", help="Provenance database (default sqlite:///OUTPUT/provenance.db)."),
]
Size = Annotated[
    int | None,
    typer.Option("--size", metavar="N", help="Long side in pixels at which the network works (default 512)."),
]
BatchSize = Annotated[int | None, typer.Option("--batch-size", metavar="N", help="Items in one batch (default 16).")]
Device = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="auto, cpu, cuda or cuda:N (default auto).")
]
AttentionOption = Annotated[
    Attention | None, typer.Option("--attention", help="How colours are looked up (default sparse).")
]
Candidates = Annotated[
    int | None,
    typer.Option("--candidates", metavar="K", help="Reference candidates recorded for each item (default 5)."),
]
Variety = Annotated[
    float | None,
    typer.Option(
        "--variety",
        metavar="SHARE",
        help="Take references of a folder's photographs in turn, if their score is within this share, 0 to 1, of the "
        "best (default 0: always the best).",
    ),
]
LowMatch = Annotated[
    float | None,
    typer.Option("--low-match", metavar="P", help="Match confidence below which items are flagged (default 0.5)."),
]
SkipLowMatch = Annotated[
    bool | None,
    typer.Option("--skip-low-match/--keep-low-match", help="Leave such items out (default --keep-low-match)."),
]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format", metavar="FORMAT", help="tiff, png or jp2 for photographs, or several: tiff,jp2 (default tiff)."
    ),
]
Access = Annotated[
    str | None,
    typer.Option(
        "--access", metavar="jpeg[:N]", help="Besides, a JPEG of each picture or page, its long side at most N pixels."
    ),
]
Pdf = Annotated[
    PdfCopy | None, typer.Option("--pdf", help="The copy of a PDF: a PDF, or a TIFF of its pages (default pdf).")
]
PdfQuality = Annotated[
    int | None,
    typer.Option(
        "--pdf-quality",
        metavar="Q",
        help="Pages in PDF copies as JPEG of this quality, 50 to 100 (default: JPEG of 92 where the scan was "
        "compressed with loss, else without loss).",
    ),
]
ColorizeAll = Annotated[
    bool | None,
    typer.Option("--colorize-all", help="Colorize also text, blanks, negatives and what is in colour already."),
]
FilmFormats = Annotated[
    str | None,
    typer.Option("--film-format", metavar="FORMAT", help="ffv1, h264, prores, or several: ffv1,h264 (default ffv1)."),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        metavar="PATH",
        help="Reference for films: a picture for all shots, a CSV of frame,reference, or a folder of coloured frames.",
    ),
]
Pins = Annotated[
    Path | None,
    typer.Option(
        "--pins",
        metavar="CSV",
        help="References tied to items, folders or shots: path,reference[,shot]. A pin wins over --reference.",
    ),
]
ShotThreshold = Annotated[
    float | None,
    typer.Option("--shot-threshold", metavar="PERCENT", help="How much must change for a cut (default 8)."),
]
Steady = Annotated[
    bool | None,
    typer.Option("--steady/--frame-by-frame", help="Carry a film's colours from frame to frame (default --steady)."),
]
SequencesOption = Annotated[
    Sequences | None,
    typer.Option("--sequences", help="Whether folders of numbered TIFF or DPX pictures are films (default auto)."),
]
SequenceRate = Annotated[
    str | None,
    typer.Option("--sequence-rate", metavar="FPS", help="Frames a second of such a film (default 24)."),
]
Rights = Annotated[
    list[str] | None,
    typer.Option("--rights", metavar="TEXT", help="Only references with these rights; again for others."),
]
Tags = Annotated[
    list[str] | None, typer.Option("--tag", metavar="TAG", help="Only references with this tag; again for more tags.")
]
Years = Annotated[
    str | None, typer.Option("--years", metavar="YEARS", help="Only references of these years: 1936 or 1900-1940.")
]
OnlyReferences = Annotated[
    Path | None,
    typer.Option("--only-references", metavar="FILE", help="Only the references in this list, a path a line."),
]
NeverReferences = Annotated[
    Path | None,
    typer.Option("--never-references", metavar="FILE", help="Never the references in this list, a path a line."),
]
MaxPixels = Annotated[
    int | None,
    typer.Option("--max-pixels", metavar="N", help="Refuse masters that claim more pixels (default 200000000)."),
]
RetryFailed = Annotated[bool | None, typer.Option("--retry-failed", help="Try again what failed in an earlier run.")]
DryRun = Annotated[bool | None, typer.Option("--dry-run", help="Only say what would be done.")]
VggWeights = Annotated[
    Path | None,
    typer.Option("--vgg-weights", metavar="PATH", help="VGG-16 weights of your own, in torchvision's format."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        help="Worker processes on this machine, each with its own GPU where there are several (default 1: none).",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster", metavar="ADDRESS", help="Dask scheduler whose workers do the work, like tcp://scheduler:8786."
    ),
]
Log = Annotated[
    str | None,
    typer.Option("--log", metavar="FILE", help="Add a JSON line for every item and event to a file; - is stderr."),
]
LogForm = Annotated[
    str | None, typer.Option("--log-form", metavar="FORM", help="json, or text for lines that people read.")
]
Metrics = Annotated[
    Path | None,
    typer.Option("--metrics", metavar="FILE", help="Metrics for node_exporter's textfile collector, FILE.prom."),
]
Prefect = Annotated[
    bool | None,
    typer.Option("--prefect/--no-prefect", help="Record the run in Prefect (default --prefect)."),
]

RunId = Annotated[
    int | None, typer.Option("--run", metavar="ID", envvar="ARCHIVE_COLORIZER_RUN", help="Only this run.")
]

# where an existing database is found
FoundOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        metavar="DIR",
        envvar="ARCHIVE_COLORIZER_OUTPUT",
        help="Output folder of the run (default .).",
    ),
]
FoundDatabase = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        envvar="ARCHIVE_COLORIZER_DATABASE",
        help="Provenance database (default sqlite:///OUTPUT/provenance.db).",
    ),
]
Listing = Annotated[
    ListingFormat,
    typer.Option("--format", envvar="ARCHIVE_COLORIZER_LISTING_FORMAT", help="How the rows are printed."),
]

# for commands that load networks without a run's settings
NetworkSize = Annotated[
    int,
    typer.Option(
        "--size",
        metavar="N",
        min=64,
        max=4096,
        envvar="ARCHIVE_COLORIZER_SIZE",
        help="Long side in pixels at which the network works.",
    ),
]
NetworkDevice = Annotated[
    str,
    typer.Option("--device", metavar="DEVICE", envvar="ARCHIVE_COLORIZER_DEVICE", help="auto, cpu, cuda or cuda:N."),
]
NetworkAttention = Annotated[
    Attention, typer.Option("--attention", envvar="ARCHIVE_COLORIZER_ATTENTION", help="How colours are looked up.")
]
