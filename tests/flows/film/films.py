"""Small archives of films for the tests of the run, and what their copies are held against."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.film import probe, read_luma, survey
from tests.storage.film.clips import ffmpeg, lavfi, make, packets, plane_md5s, seconds
from tests.storage.film.test_streams import full_film

DEMO = Path(__file__).parents[3] / "flows" / "demo" / "references"
FOREST, SEA = DEMO / "forest-stream.jpg", DEMO / "beach-sky-and-cables.jpg"
SIZE = "96x64"
_SOUND = ("-map", "0", "-map", "1")
_VARIABLE = "select='mod(n,3)+not(mod(n,7))',setpts=PTS+mod(N\\,3)*0.004/TB"
_VFR = ("-vf", _VARIABLE, "-fps_mode", "vfr", "-enc_time_base", "1/90000", "-c:v", "libx264", "-pix_fmt", "yuv420p")

# path in the archive -> how the film is made
FILES: dict[str, tuple[str, ...]] = {
    "ffv1.mkv": ("-c:v", "ffv1", "-level", "3", "-pix_fmt", "yuv420p"),
    "aac.mp4": (*_SOUND, "-c:v", "libx264", "-bf", "3", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    "prores.mov": (*_SOUND, "-c:v", "prores_ks", "-pix_fmt", "yuv422p10le", "-c:a", "pcm_s16le"),
    "Straßenbahn 1931.avi": (*_SOUND, "-c:v", "mpeg4", "-c:a", "mp2"),
    "program.mpg": (*_SOUND, "-c:v", "mpeg2video", "-bf", "2", "-c:a", "mp2"),
    "variable.mp4": (*_SOUND, *_VFR, "-c:a", "aac"),
    "oblong.mkv": ("-vf", "setsar=16/15", "-c:v", "ffv1", "-pix_fmt", "yuv422p"),
    "odd.mkv": ("-c:v", "ffv1", "-pix_fmt", "yuv420p"),
    "full range.mkv": ("-vf", "scale=out_range=pc,format=yuv444p", "-color_range", "pc", "-c:v", "ffv1"),
}
FOLDERS = ("dpx", "scans/16 bit")
EVERYTHING = "everything.mkv"


def make_films(archive: Path) -> list[str]:
    """One film of every kind; their paths in the archive."""
    archive.mkdir()
    for name, arguments in FILES.items():
        odd = name == "odd.mkv"
        make(archive / name, *arguments, size="321x241" if odd else SIZE, seconds=0.16 if odd else 0.48)
    (archive / "dpx").mkdir()
    chain = f"scale={SIZE.replace('x', ':')},format=gray10be"
    ffmpeg(*lavfi("testsrc2=size=400x300:rate=24:duration=0.5"), "-vf", chain, str(archive / "dpx" / "f_%06d.dpx"))
    write_frames(archive / "scans" / "16 bit", [frame.astype(np.uint16) * 257 for frame in pan(SEA, 14)])
    parts = archive.with_name("parts")
    parts.mkdir()
    full_film(parts, EVERYTHING, "srt").rename(archive / EVERYTHING)
    return sorted([*FILES, *FOLDERS, EVERYTHING])


def write_frames(folder: Path, frames: Sequence[np.ndarray]) -> Path:
    """Numbered TIFF frames."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames, start=1):
        tifffile.imwrite(folder / f"scan_{number:05}.tif", frame)
    return folder


def pan(picture: Path, count: int) -> list[np.ndarray]:
    """A slow pan over a photograph, grey: half a pixel from frame to frame."""
    width, height = (int(side) for side in SIZE.split("x"))
    with Image.open(picture) as image:
        grey = image.convert("L").resize((2 * width + count, 2 * height), Image.Resampling.BOX)
    crops = [grey.crop((number, 0, number + 2 * width, 2 * height)) for number in range(count)]
    return [np.asarray(crop.resize((width, height), Image.Resampling.BOX)) for crop in crops]


def encode(frames: Sequence[np.ndarray], path: Path, *arguments: str) -> Path:
    """A grey film of these frames."""
    folder = path.parent / f".frames of {path.name}"
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"{number:05}.png")
    coded = arguments or ("-c:v", "ffv1", "-pix_fmt", "gray")
    ffmpeg("-framerate", "25", "-i", str(folder / "%05d.png"), *coded, str(path))
    for frame in folder.iterdir():
        frame.unlink()
    folder.rmdir()
    return path


def luma_md5s(path: Path) -> list[str]:
    """The MD5 of every frame's luma."""
    return [hashlib.md5(np.ascontiguousarray(luma).tobytes()).hexdigest() for luma in read_luma(path, probe(path))]


def check_film_is_kept(source: Path, copy: Path) -> None:
    """Frames, luma, times, sound and shape of an FFV1 copy are those of its source."""
    facts, found = probe(source), probe(copy)
    frames, again = survey(source, facts).frames, survey(copy, found).frames
    assert len(again) == len(frames) > 0
    lumas = luma_md5s(source)
    assert plane_md5s(copy, found.pixel_format) == lumas
    if facts.sequence is None:
        assert plane_md5s(source, facts.pixel_format) == lumas
    start = frames[0].pts * frames.time_base if facts.container == "mpeg" else 0  # whose clock starts anywhere
    begin = again[0].pts * again.time_base if facts.container == "mpeg" else 0
    wanted = [second - start for second in seconds(frames)]
    assert [second - begin for second in seconds(again)] == pytest.approx(wanted, abs=0.0011)
    if frames.constant_rate:
        assert found.frame_rate == facts.frame_rate
    assert (found.width, found.height, found.bit_depth) == (facts.width, facts.height, facts.bit_depth)
    assert found.sample_aspect == facts.sample_aspect
    assert (found.matrix, found.full_range) == (facts.matrix, facts.full_range)
    assert found.matrix_tagged
    assert (found.container, found.codec) == ("matroska", "ffv1")
    if facts.sequence is None:
        assert packets(copy, "audio") == packets(source, "audio")
