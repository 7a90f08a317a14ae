"""What a very large master costs: memory of the run's processes, seconds, and whether its copy is right.

    python -m tests.benchmarks.large_master [--width 20000 --height 15000] [--folder DIR] [--compression deflate]

Makes a 16-bit RGB TIFF of a photograph laid side by side in mirror images, colorizes it by `archive-colorizer run`, and
holds the copy against the master: size, depth, luminance, and steps of chroma where tiles and bands meet. Prints, never
asserts.
"""

import argparse
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from storage.database import audit, open_database
from storage.images.rows import BAND_PIXELS
from tests.benchmarks.tree_memory import ROOT, measured_run, megabytes

DEMO = ROOT / "flows" / "demo"
PHOTOGRAPH = DEMO / "archive" / "photographs" / "1936 Dust Bowl" / "abandoned dust bowl home.jpg"
_GREATEST_DIFFERENCE = 0.05
"""Of L*, between a master of 16 bits and its copy."""
_NEIGHBOURS = 20
"""A line's step is held against so many lines on each side of it."""

Floats = NDArray[np.float64]
Pixels = NDArray[np.uint16]


class Scene:
    """A photograph with 16 real bits, laid side by side in mirror images; its rows are made when asked for."""

    def __init__(self, photograph: Path, width: int, height: int, enlarged: int) -> None:
        """Args:
        enlarged: long side in pixels to which the photograph is brought.
        """
        with Image.open(photograph) as opened:
            picture = opened.convert("RGB")
        scale = enlarged / max(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        fine = picture.resize(size, Image.Resampling.BICUBIC)
        self._picture = np.asarray(fine).astype(np.uint16) * 257
        # so that no two samples are alike by more than scans are, and deflate has work; the same every time
        grain = np.random.default_rng(7).integers(-300, 300, (*self._picture.shape[:2], 1))
        self._picture = (self._picture + grain).clip(0, 65535).astype(np.uint16)
        self.shape = (height, width, 3)
        self.dtype = np.dtype(np.uint16)
        self._columns = _mirrored(np.arange(width), self._picture.shape[1])

    def __getitem__(self, rows: slice, /) -> Pixels:
        top, bottom, _ = rows.indices(self.shape[0])
        made = self._picture[_mirrored(np.arange(top, bottom), self._picture.shape[0])][:, self._columns]
        return np.ascontiguousarray(made)


def _mirrored(places: NDArray[np.intp], length: int) -> NDArray[np.intp]:
    turned: NDArray[np.intp] = places % (2 * length)
    return np.where(turned < length, turned, 2 * length - 1 - turned)


def write_master(path: Path, scene: Scene, compression: str, rows: int = 64) -> None:
    """Write the scene as a TIFF in strips of so many rows; one is in memory at a time."""
    height = scene.shape[0]

    def strips() -> Iterator[bytes]:
        for top in range(0, height, rows):
            samples = scene[top : min(top + rows, height)].astype("<u2", copy=False)
            if compression == "deflate":
                samples = imagecodecs.delta_encode(samples, axis=1)
            raw = samples.tobytes()
            yield bytes(imagecodecs.deflate_encode(raw, level=1, raw=False)) if compression == "deflate" else raw

    with tifffile.TiffWriter(path, bigtiff=height * scene.shape[1] * 6 > 3_800_000_000, byteorder="<") as writer:
        writer.write(
            strips(),
            shape=scene.shape,
            dtype=scene.dtype,
            photometric="rgb",
            planarconfig="contig",
            rowsperstrip=rows,
            compression={"none": None, "deflate": "adobe_deflate"}[compression],
            predictor=2 if compression == "deflate" else None,
            resolution=(1200, 1200),
            resolutionunit="inch",
        )


class Copy:
    """A tiled copy, read tile by tile."""

    def __init__(self, path: Path) -> None:
        self.file = tifffile.TiffFile(path)
        page = self.file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        self.page = page

    def area(self, top: int, left: int, height: int, width: int) -> Pixels:
        """Samples (height, width, 3), which must lie in the picture."""
        down, across = self.page.tilelength or self.page.rowsperstrip, self.page.tilewidth or self.page.imagewidth
        columns = -(-self.page.imagewidth // across)
        result = np.empty((height, width, 3), np.uint16)
        for row in range(top // down, -(-(top + height) // down)):
            for column in range(left // across, -(-(left + width) // across)):
                tile = self._block(row * columns + column)
                y, x = row * down - top, column * across - left
                rows = slice(max(0, y), min(height, y + tile.shape[0]))
                lines = slice(max(0, x), min(width, x + tile.shape[1]))
                result[rows, lines] = tile[rows.start - y : rows.stop - y, lines.start - x : lines.stop - x]
        return result

    def _block(self, number: int) -> Pixels:
        self.file.filehandle.seek(self.page.dataoffsets[number])
        data = self.file.filehandle.read(self.page.databytecounts[number])
        decoded: Any = self.page.decode(data, number)[0]
        return np.asarray(decoded[0], np.uint16)


def lab(samples: Pixels) -> Floats:
    """sRGB samples of 16 bits as CIE L*a*b* for D65, in double precision (IEC 61966-2-1, CIE 15)."""
    signal = samples / 65535.0
    light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    relative = light @ (to_xyz / to_xyz.sum(axis=1, keepdims=True)).T
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def luminance_difference(copy: Copy, scene: Scene, places: int, rng: np.random.Generator) -> float:
    """The greatest difference of L* in some areas of 512 x 512 pixels."""
    height, width = scene.shape[:2]
    side = min(512, height, width)
    greatest = 0.0
    for _ in range(places):
        top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
        wanted = lab(scene[top : top + side][:, left : left + side])[..., 0]
        greatest = max(greatest, float(np.abs(lab(copy.area(top, left, side, side))[..., 0] - wanted).max()))
    return greatest


@dataclass(frozen=True)
class Steps:
    """How much larger the mean step of chroma across a line is than across its neighbours; 1 is no difference."""

    at_borders: float
    """The greatest where tiles or bands meet."""
    elsewhere: float
    """The greatest on other lines."""
    usual: float
    """What 99 of 100 other lines do not exceed."""
    borders: int
    lines: int

    def line(self, name: str) -> str:
        """The finding, for people."""
        verdict = "no seam" if self.at_borders <= max(1.02, self.elsewhere) else "A SEAM"
        return (
            f"chroma across {name}: at most {self.at_borders:.3f} times that of the neighbours on {self.borders} "
            f"border lines, {self.elsewhere:.3f} ({self.usual:.3f} on 99 of 100) on {self.lines} others: {verdict}"
        )


def chroma_steps(copy: Copy, places: int, rng: np.random.Generator) -> dict[str, Steps]:
    """Steps of a* and b* across the lines between rows and between columns, around corners of tiles.

    The corners are taken at random; the same line of all of them is one, as a seam would be at each.
    """
    height, width = copy.page.imagelength, copy.page.imagewidth
    tile = copy.page.tilelength
    corners = [(y, x) for y in range(tile, height - tile, tile) for x in range(tile, width - tile, tile)]
    if not corners:
        return {}
    chosen = [corners[number] for number in rng.permutation(len(corners))[:places]]
    totals = {"rows": np.zeros(2 * tile - 1), "columns": np.zeros(2 * tile - 1)}
    for y, x in chosen:
        chroma = lab(copy.area(y - tile, x - tile, 2 * tile, 2 * tile))[..., 1:]
        totals["rows"] += np.abs(np.diff(chroma, axis=0)).mean(axis=(1, 2))
        totals["columns"] += np.abs(np.diff(chroma, axis=1)).mean(axis=(0, 2))
    # rows are asked for in bands of whole tiles, and made in bands of about a million pixels
    asked = tile * max(1, BAND_PIXELS // (width * tile))
    made = max(1, BAND_PIXELS // width)
    inside = {row for row in range(tile) if (row % asked) % made == 0} if asked == tile else {0}
    borders = {
        "rows": {place for place in range(1, 2 * tile) if place % tile in inside},
        "columns": {tile},
    }
    return {name: _steps(totals[name], borders[name]) for name in totals}


def _steps(profile: Floats, borders: set[int]) -> Steps:
    ratios = {}
    for line in range(_NEIGHBOURS, len(profile) - _NEIGHBOURS):
        around = np.r_[profile[line - _NEIGHBOURS : line], profile[line + 1 : line + 1 + _NEIGHBOURS]]
        ratios[line + 1] = profile[line] / max(float(np.median(around)), 1e-9)
    at = [ratio for line, ratio in ratios.items() if line in borders]
    elsewhere = [ratio for line, ratio in ratios.items() if line not in borders]
    return Steps(max(at), max(elsewhere), float(np.quantile(elsewhere, 0.99)), len(at), len(elsewhere))


def slices_differ(width: int, height: int, slices: int, rng: np.random.Generator) -> int:
    """Samples that come out otherwise when the rows of a copy are asked for in random slices than as a whole."""
    from sscn import Colorizer

    scene = Scene(PHOTOGRAPH, width, height, max(width, height))
    colorizer = Colorizer.from_pretrained("default", device="cpu", attention="sparse", size=512)
    with Image.open(DEMO / "references" / "mountain-pasture-aitzgorri.jpg") as reference:
        encoded = colorizer.encode_reference(reference.convert("RGB"))
    rows = colorizer.predict(scene, encoded).rows
    whole = rows[0:height]
    differing = 0
    for _ in range(slices):
        top = int(rng.integers(0, height))
        bottom = int(min(height, top + rng.choice([1, 2, 7, 52, 64, 333, height])))
        differing += int(np.count_nonzero(rows[top:bottom] != whole[top:bottom]))
    return differing


def _stages(output: Path) -> Iterator[str]:
    with open_database(f"sqlite:///{output / 'provenance.db'}", create=False) as database:
        for row in audit.rows(database, "audit_runtime"):
            yield f"  {row['stage']!s:12} {float(str(row['seconds_total'])):8.2f} s"
        for row in audit.rows(database, "audit_failure"):
            yield f"  FAILED at {row['stage']}: {row['message']}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--width", type=int, default=20_000)
    parser.add_argument("--height", type=int, default=15_000)
    parser.add_argument("--compression", choices=("none", "deflate"), default="none")
    parser.add_argument("--strip-rows", type=int, default=64)
    parser.add_argument("--masters", type=int, default=1, choices=range(1, 9), help="of this kind in one run")
    parser.add_argument("--folder", type=Path, help="where master and copy lie for a while; a disk, no tmpfs")
    parser.add_argument("--places", type=int, default=40, help="areas of the copy that are looked at")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--without-slices", action="store_true", help="leave out the comparison of slices of rows")
    parser.add_argument("--run-option", action="append", default=[], help="a further word for `run`, e.g. --format=jp2")
    arguments = parser.parse_args()
    rng = np.random.default_rng(arguments.seed)
    with tempfile.TemporaryDirectory(prefix="large-master-", dir=arguments.folder) as folder:
        scratch = Path(folder)
        (scratch / "archive").mkdir()
        scene = Scene(PHOTOGRAPH, arguments.width, arguments.height, 3000)
        master = scratch / "archive" / "master.tif"
        write_master(master, scene, arguments.compression, arguments.strip_rows)
        for number in range(1, arguments.masters):
            shutil.copy(master, scratch / "archive" / f"master {'abcdefgh'[number]}.tif")
        megapixels = arguments.width * arguments.height / 1e6
        print(
            f"master: {arguments.width} x {arguments.height}, {megapixels:.0f} megapixels of 16-bit RGB, "
            f"{arguments.compression}, {megabytes(master.stat().st_size)}, {arguments.masters} of it; "
            f"load average {os.getloadavg()[0]:.1f}"
        )
        options = ["--max-pixels", "400000000", *arguments.run_option]
        ran = measured_run(scratch / "archive", DEMO / "references", scratch / "output", options, scratch)
        each = ran.seconds / megapixels / arguments.masters
        print(f"exit code {ran.exit_code}, {ran.seconds:.1f} s, {each:.3f} s a megapixel")
        print(f"load average afterwards {os.getloadavg()[0]:.1f}")
        print(*ran.memory.lines(), *_stages(scratch / "output"), sep="\n")
        if ran.exit_code:
            print(ran.output[-2000:])
        for path in sorted((scratch / "output").glob("master*.tif")):
            _look_at_copy(path, scene, arguments.places, rng)
    if not arguments.without_slices:
        print(f"samples that differ between slices of rows and the whole: {slices_differ(3000, 2000, 40, rng)}")


def _look_at_copy(path: Path, scene: Scene, places: int, rng: np.random.Generator) -> None:
    copy = Copy(path)
    page = copy.page
    kind = ("Big" if copy.file.is_bigtiff else "classic ") + "TIFF"
    blocks = f"tiles of {page.tilelength}" if page.is_tiled else f"strips of {page.rowsperstrip}"
    print(
        f"copy: {page.imagewidth} x {page.imagelength}, {page.bitspersample} bits, {page.samplesperpixel} channels, "
        f"{kind}, {blocks}, {megabytes(path.stat().st_size)}"
    )
    fits = (page.imagelength, page.imagewidth, page.samplesperpixel) == scene.shape and page.bitspersample == 16
    print("size and depth " + ("as the master's" if fits else "WRONG"))
    if not fits:
        return
    difference = luminance_difference(copy, scene, places, rng)
    print(
        f"greatest difference of L* in {places} areas: {difference:.4f} "
        f"({'within' if difference <= _GREATEST_DIFFERENCE else 'BEYOND'} {_GREATEST_DIFFERENCE})"
    )
    if page.is_tiled:
        for name, steps in chroma_steps(copy, places, rng).items():
            print(steps.line(name))


if __name__ == "__main__":
    main()
