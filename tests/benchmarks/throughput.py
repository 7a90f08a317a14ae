"""Seconds that 24-megapixel masters take to be read, coloured and written, each alone, and how much a run overlaps.

    python -m tests.benchmarks.throughput [--width 6000 --height 4000] [--kinds grey8,rgb16] [--repeats 3]

Reading is `storage.masters.read_master` in this process and, beside it, in a decoder process; colour is making all rows
of the copy in bands as the writers ask for them; writing is that of rows which are there already. The least of the
repeats counts, as other work on the machine only ever takes away. Prints, never asserts.
"""

import argparse
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, get_args

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from flows.encodings import predict
from storage.database import audit, colorizations, open_database, runs
from storage.decoding import Decoder
from storage.images import DerivativeProvenance, Format, write_derivative
from storage.masters import read_master
from tests.benchmarks.large_master import DEMO, PHOTOGRAPH, Scene
from tests.benchmarks.tree_memory import measured_run

Pixels = NDArray[Any]
KINDS = ("grey8", "grey16", "rgb8", "rgb16")
BAND_ROWS = 512
LANES = {
    "reader": ("read",),
    "network": ("content", "embed", "search", "rerank", "reference", "network"),
    "writer": ("chroma", "write", "thumbnail"),
}
"""The stages of an item by the thread that does them: the three work beside each other."""


def samples_of(kind: str, width: int, height: int, shift: int = 0) -> Pixels:
    """A photograph (height, width) or (height, width, 3), uint8 or uint16; another ``shift``, another picture."""
    scene = Scene(PHOTOGRAPH, width, height + shift, 3000)
    pixels: Pixels = scene[shift : height + shift]
    if kind.startswith("grey"):
        pixels = pixels[..., 1]
    pixels = np.ascontiguousarray(pixels)
    return pixels if kind.endswith("16") else (pixels >> 8).astype(np.uint8)


def _tiff(pixels: Pixels, compression: str | None) -> bytes:
    file = io.BytesIO()
    photometric = "rgb" if pixels.ndim == 3 else "minisblack"
    tifffile.imwrite(
        file,
        pixels,
        photometric=photometric,
        compression=compression,
        predictor=compression is not None,
        rowsperstrip=64,
    )
    return file.getvalue()


def _jpeg(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=92)
    return file.getvalue()


ENCODERS: dict[str, Callable[[Pixels], bytes]] = {
    "deflate.tif": partial(_tiff, compression="adobe_deflate"),
    "none.tif": partial(_tiff, compression=None),
    "jpeg.jpg": _jpeg,
    "png.png": lambda pixels: bytes(imagecodecs.png_encode(pixels, level=6)),
    "jpeg2000.jp2": lambda pixels: bytes(imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="jp2")),
}


def encodings(kind: str) -> list[str]:
    """In what a master of this kind is measured: JPEG has 8 bits only."""
    return [name for name in ENCODERS if name != "jpeg.jpg" or kind.endswith("8")]


@dataclass(frozen=True)
class Cost:
    """The least of several measurements."""

    seconds: float
    processor: float
    """Seconds of all threads of this process together: what little a busy machine changes."""

    def __str__(self) -> str:
        return f"{self.seconds:6.2f} ({self.processor:5.2f})"


def least(work: Callable[[], object], repeats: int) -> Cost:
    """The fastest of several runs."""
    seconds, processor = [], []
    for _ in range(repeats):
        started, used = time.perf_counter(), time.process_time()
        work()
        seconds.append(time.perf_counter() - started)
        processor.append(time.process_time() - used)
    return Cost(min(seconds), min(processor))


def _make_all(rows: Any) -> None:
    for top in range(0, rows.shape[0], BAND_ROWS):
        _ = rows[top : min(top + BAND_ROWS, rows.shape[0])]


def measure_alone(kinds: list[str], width: int, height: int, repeats: int, scratch: Path) -> Iterator[str]:
    """Each part of the work by itself, a line each."""
    from sscn import Colorizer

    colorizer = Colorizer.from_pretrained("default", device="cpu", attention="sparse", size=512)
    with Image.open(DEMO / "references" / "mountain-pasture-aitzgorri.jpg") as reference:
        encoded = colorizer.encode_reference(reference.convert("RGB"))
    provenance = DerivativeProvenance("Archive Colorizer", "0", "SSCN", "0", datetime.now(UTC))
    yield "seconds, in brackets those of processors"
    yield f"{'read':8} {'encoding':13} {'MB':>6} {'here':>14} {'decoder':>8}"
    for kind in kinds:
        pixels = samples_of(kind, width, height)
        for name in encodings(kind):
            path = scratch / f"{kind}-{name}"
            path.write_bytes(ENCODERS[name](pixels))
            here = least(partial(read_master, path), repeats)
            with Decoder() as decoder:
                decoder.identify(path)  # starts it
                apart = least(partial(decoder.read, path), repeats).seconds
            line = f"{kind:8} {name.split('.')[0]:13} {path.stat().st_size / 1e6:6.0f} {here!s} {apart:8.2f}"
            yield f"{line}   load {os.getloadavg()[0]:.1f}"
    yield f"{'copy':8} {'network':>14} {'rows':>14} " + " ".join(f"{form:>14}" for form in get_args(Format))
    for kind in kinds:
        master = read_master(scratch / f"{kind}-none.tif")
        network = least(partial(predict, colorizer, master, encoded), repeats)
        rows = predict(colorizer, master, encoded).rows
        made = least(partial(_make_all, rows), repeats)
        copy = rows[:]
        written = [
            least(partial(write_derivative, scratch / f"copy.{form}", copy, master, provenance, form), repeats)
            for form in get_args(Format)
        ]
        line = " ".join(map(str, (network, made, *written)))
        yield f"{kind:8} {line}   load {os.getloadavg()[0]:.1f}"


@dataclass(frozen=True)
class RunFigures:
    """A run over some masters; seconds an item."""

    items: int
    wall: float
    """From the first item's start to the last one's end."""
    stages: dict[str, float]
    """Means of the stages."""
    first: float
    """Until the first item was done."""

    def lines(self) -> Iterator[str]:
        """The findings, for people."""
        total = sum(self.stages.values())
        lanes = {name: sum(self.stages.get(stage, 0.0) for stage in stages) for name, stages in LANES.items()}
        busiest, lane = max(lanes.items(), key=lambda one: one[1])
        part, seconds = max(self.stages.items(), key=lambda one: one[1])
        yield "  stages: " + ", ".join(f"{name} {spent:.2f}" for name, spent in sorted(self.stages.items()))
        yield "  threads: " + ", ".join(f"{name} {spent:.2f}" for name, spent in lanes.items())
        yield (
            f"  {self.wall:.2f} s an item ({self.items} of them, the first done after {self.first:.2f} s): "
            f"{self.wall / total:.2f} of the sum of all stages, {self.wall / lane:.2f} times the busiest thread "
            f"({busiest}), {self.wall / seconds:.2f} times the largest part ({part})"
        )


def figures_of(output: Path) -> RunFigures:
    """What the database of a finished run says."""
    with open_database(f"sqlite:///{output / 'provenance.db'}", create=False) as database:
        run = runs.latest(database)
        if run is None:
            raise SystemExit("the run left no record")
        done = [one for one in colorizations.of_run(database, run.id) if one.state == "done"]
        rows = audit.rows(database, "audit_runtime", run.id)
    if not done:
        raise SystemExit("the run colorized nothing")
    began = min(one.started_at for one in done if one.started_at is not None)
    ended = sorted(one.created_at for one in done)
    of_items = {stage for stages in LANES.values() for stage in stages}
    stages = {
        str(row["stage"]): float(str(row["seconds_total"])) / len(done) for row in rows if row["stage"] in of_items
    }
    return RunFigures(
        len(done), (ended[-1] - began).total_seconds() / len(done), stages, (ended[0] - began).total_seconds()
    )


def measure_run(
    kind: str, name: str, masters: int, width: int, height: int, options: list[str], scratch: Path
) -> Iterator[str]:
    """A whole `run` over masters of one kind, no two alike."""
    archive = scratch / "archive"
    archive.mkdir()
    for number in range(masters):
        content = ENCODERS[name](samples_of(kind, width, height, 97 * number))
        (archive / f"{chr(ord('a') + number)} master.{name.split('.')[1]}").write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = measured_run(archive, DEMO / "references", scratch / "output", options, scratch)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    yield (
        f"run over {masters} masters, {kind} {name.split('.')[0]}: exit code {ran.exit_code}, {ran.seconds:.1f} s with "
        f"start-up, {cpu:.1f} s of processors, load {os.getloadavg()[0]:.1f}"
    )
    yield from ran.memory.lines()
    yield from figures_of(scratch / "output").lines()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--kinds", default=",".join(KINDS), help="of masters, some of " + ",".join(KINDS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--masters", type=int, default=8, help="in a run, at most 26")
    parser.add_argument("--encoding", choices=tuple(ENCODERS), default="deflate.tif", help="of these")
    parser.add_argument("--folder", type=Path, help="where files lie for a while")
    parser.add_argument("--without-runs", action="store_true")
    parser.add_argument("--only-runs", action="store_true")
    parser.add_argument("--run-option", action="append", default=[], help="a further word for `run`")
    arguments = parser.parse_args()
    kinds = arguments.kinds.split(",")
    if not set(kinds) <= set(KINDS):
        parser.error(f"kinds are {', '.join(KINDS)}")
    size = (arguments.width, arguments.height)
    with tempfile.TemporaryDirectory(prefix="throughput-", dir=arguments.folder) as folder:
        print(f"{size[0]} x {size[1]} pixels, {os.cpu_count()} cores")
        if not arguments.only_runs:
            for line in measure_alone(kinds, *size, arguments.repeats, Path(folder)):
                print(line, flush=True)
    for kind in kinds if not arguments.without_runs else ():
        with tempfile.TemporaryDirectory(prefix="throughput-", dir=arguments.folder) as folder:
            options = arguments.run_option
            for line in measure_run(kind, arguments.encoding, arguments.masters, *size, options, Path(folder)):
                print(line, flush=True)


if __name__ == "__main__":
    main()
