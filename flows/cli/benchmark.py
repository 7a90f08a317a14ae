"""`archive-colorizer benchmark`: what a run costs, and how well colour is brought back."""

import json
from pathlib import Path
from typing import Annotated

import typer

from flows.cli import options
from flows.cli.options import Attention, FilmFormat
from flows.listing import ListingFormat

app = typer.Typer(help="Measure speed, memory and colour on this machine.", invoke_without_command=True)

Items = Annotated[
    int,
    typer.Option(
        "--items", envvar="ARCHIVE_COLORIZER_BENCHMARK_ITEMS", metavar="N", min=2, help="Photographs to colorize."
    ),
]
Side = Annotated[
    int,
    typer.Option(
        "--side", envvar="ARCHIVE_COLORIZER_BENCHMARK_SIDE", metavar="N", min=64, help="Their long side in pixels."
    ),
]
Format = Annotated[ListingFormat | None, typer.Option("--format", help="How the rows are printed.")]

COLUMNS = ("figure", "value", "unit")
ATTENTION_COLUMNS = (
    "size",
    "dense_seconds",
    "sparse_seconds",
    "ratio",
    "dense_matching",
    "sparse_matching",
    "dense_peak_gb",
    "sparse_peak_gb",
    "dense_map_gb",
    "sparse_pairs",
)
FILM_COLUMNS = ("clip", "psnr_grey", "psnr", "confidence")


@app.callback()
def everything(context: typer.Context, format: options.Listing = ListingFormat.TABLE) -> None:
    """Without a subcommand: an archive run, then the first-frame film test, both as they are by default."""
    context.obj = format
    if context.invoked_subcommand is not None:
        return
    from flows.listing import print_rows

    run = _archive_rows(16, 1024, 512, "auto", Attention.SPARSE)
    if format is not ListingFormat.JSON:
        print_rows(run, COLUMNS, format)
    film = _film_rows(512, "auto", Attention.SPARSE)
    if format is ListingFormat.JSON:  # one document, as a program wants it
        print(json.dumps({"archive": run, "first_frame": film}, indent=2))
    else:
        print_rows(film, FILM_COLUMNS, format)


@app.command("archive")
def archive(
    context: typer.Context,
    items: Items = 16,
    side: Side = 1024,
    size: options.NetworkSize = 512,
    device: options.NetworkDevice = "auto",
    attention: options.NetworkAttention = Attention.SPARSE,
    format: Format = None,
) -> None:
    """A run over photographs: seconds per stage and item, peak memory, overhead of orchestration and database."""
    from flows.listing import print_rows

    print_rows(_archive_rows(items, side, size, device, attention), COLUMNS, format or context.obj)


@app.command("first-frame")
def first_frame(
    context: typer.Context,
    size: options.NetworkSize = 512,
    device: options.NetworkDevice = "auto",
    attention: options.NetworkAttention = Attention.SPARSE,
    format: Format = None,
) -> None:
    """Film frames colorized with the film's first frame as reference: PSNR against the true colours."""
    from flows.listing import print_rows

    print_rows(_film_rows(size, device, attention), FILM_COLUMNS, format or context.obj)


@app.command("film")
def film(
    context: typer.Context,
    clip: Annotated[
        Path | None, typer.Option("--clip", metavar="FILM", help="A film (default: the demo archive's).")
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", metavar="IMAGE", help="Its reference (default: the demo's).")
    ] = None,
    film_format: Annotated[FilmFormat, typer.Option("--film-format", help="Format of the copy.")] = FilmFormat.FFV1,
    size: options.NetworkSize = 512,
    device: options.NetworkDevice = "auto",
    format: Format = None,
) -> None:
    """A film from its master to the joined copy against the network alone on the same frames, in one run."""
    from flows.listing import print_rows

    print_rows(_film_speed_rows(clip, reference, film_format, size, device), COLUMNS, format or context.obj)


@app.command("steadiness")
def steadiness(
    context: typer.Context,
    size: options.NetworkSize = 512,
    device: options.NetworkDevice = "auto",
    format: Format = None,
) -> None:
    """Flicker and colour consistency of film, frame by frame and steadied, as multiples of the true film's own."""
    from dataclasses import asdict

    from flows.benchmark.steadiness import measure_steadiness
    from flows.engine import loading_networks, resolve_device
    from flows.listing import print_rows

    with loading_networks():
        rows = [asdict(one) for one in measure_steadiness(resolve_device(device), size)]
    print_rows(rows, list(rows[0]), format or context.obj)


@app.command("retrieval")
def retrieval(
    context: typer.Context,
    vectors: Annotated[
        int,
        typer.Option(
            "--vectors", envvar="ARCHIVE_COLORIZER_BENCHMARK_VECTORS", metavar="N", min=1000, help="Vectors to search."
        ),
    ] = 100_000,
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", metavar="DIR", help="Pictures they are made from (default: the demo's references)."),
    ] = None,
    device: options.NetworkDevice = "auto",
    format: Format = None,
) -> None:
    """The search index of a large reference library next to exact search and HNSW: build, additions, query, memory,
    recall. A million vectors take some 7 GB of disk in the temporary folder and half an hour."""
    import sys
    from dataclasses import asdict
    from importlib.resources import as_file, files

    from flows.benchmark.retrieval import measure_retrieval
    from flows.engine import loading_networks, resolve_device
    from flows.listing import print_rows
    from flows.progress import shown

    with as_file(files("flows") / "demo") as demo, loading_networks(), shown(sys.stderr) as progress:
        found = measure_retrieval(vectors, pictures or demo / "references", resolve_device(device), progress.say)
    rows = [asdict(one) for one in found]
    print_rows(rows, list(rows[0]), format or context.obj)


@app.command("attention")
def attention(
    context: typer.Context,
    sizes: Annotated[
        list[int] | None, typer.Option("--size", metavar="N", min=64, help="Side in pixels (may be repeated).")
    ] = None,
    device: options.NetworkDevice = "auto",
    format: Format = None,
) -> None:
    """Dense against sparse attention: seconds of the whole network for one picture, the part of it that is matching,
    peak memory, and the part of all pairs that sparse computes, side by side in one run."""
    from flows.benchmark.attention import SIZES, measure_attention
    from flows.engine import loading_networks, resolve_device
    from flows.listing import print_rows

    with loading_networks():
        figures = measure_attention(sizes or SIZES, resolve_device(device))
    rows: list[dict[str, object]] = []
    for dense, sparse in zip(figures[::2], figures[1::2], strict=True):
        rows.append(
            {
                "size": dense.size,
                "dense_seconds": dense.seconds,
                "sparse_seconds": sparse.seconds,
                "ratio": dense.seconds / sparse.seconds,
                "dense_matching": dense.matching_seconds / dense.seconds,
                "sparse_matching": sparse.matching_seconds / sparse.seconds,
                "dense_peak_gb": dense.peak_bytes / 1e9,
                "sparse_peak_gb": sparse.peak_bytes / 1e9,
                "dense_map_gb": dense.dense_map_bytes / 1e9,
                "sparse_pairs": sparse.pairs,
            }
        )
    print_rows(rows, ATTENTION_COLUMNS, format or context.obj)


def _archive_rows(items: int, side: int, size: int, device: str, attention: Attention) -> list[dict[str, object]]:
    from flows.benchmark.archive import measure_archive

    figures = measure_archive(items, side, size, device, attention.value)
    rows: list[dict[str, object]] = [
        {"figure": "items", "value": figures.items, "unit": f"photographs of {side} px, network at {size} px"},
        {"figure": "an item, start-up left out", "value": figures.seconds_per_item, "unit": "s"},
        {"figure": "orchestration and database", "value": figures.overhead_seconds_per_item, "unit": "s an item"},
        {"figure": "start-up", "value": figures.start_up_seconds, "unit": "s"},
        {"figure": "peak memory", "value": figures.peak_memory_bytes / 1e9, "unit": "GB"},
    ]
    rows += [
        {"figure": f"stage {stage}", "value": seconds, "unit": "s, median"}
        for stage, seconds in figures.stage_medians.items()
    ]
    return rows


def _film_speed_rows(
    clip: Path | None, reference: Path | None, film_format: FilmFormat, size: int, device: str
) -> list[dict[str, object]]:
    from importlib.resources import as_file, files

    from flows.benchmark.film import measure_film
    from flows.engine import loading_networks, resolve_device

    with as_file(files("flows") / "demo") as demo, loading_networks():
        figures = measure_film(
            clip or demo / "archive" / "film" / "big buck bunny.mp4",
            reference or demo / "references" / "big-buck-bunny-first-frame.jpg",
            size=size,
            device=resolve_device(device),
            film_format=film_format.value,
        )
    rows: list[tuple[str, float, str]] = [
        ("frames", figures.frames, f"of {figures.width} x {figures.height} px"),
        ("network alone, frame after frame", figures.stills_fps, "frames/s"),
        ("network alone, frames side by side", figures.network_fps, "frames/s"),
        ("decode to joined copy", figures.work_fps, "frames/s"),
        ("the same with analysis", figures.whole_fps, "frames/s"),
        ("of the network frame after frame", figures.whole_fps / figures.stills_fps, "1"),
        ("of the network side by side", figures.ratio, "1"),
        *((f"stage {name}", seconds, "s a frame") for name, seconds in figures.stages.items()),
        ("peak memory", figures.peak_bytes / 1e9, "GB"),
    ]
    return [{"figure": figure, "value": value, "unit": unit} for figure, value, unit in rows]


def _film_rows(size: int, device: str, attention: Attention) -> list[dict[str, object]]:
    from dataclasses import asdict

    from flows.benchmark.first_frame import measure_first_frame
    from flows.engine import loading_networks, resolve_device

    with loading_networks():
        return [asdict(one) for one in measure_first_frame(attention.value, resolve_device(device), size)]
