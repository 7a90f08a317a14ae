"""Folders of numbered pictures: which are films, told by how the pictures follow each other; and a film's digest."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
import skimage
import tifffile
from PIL import Image, ImageDraw, ImageFont

from storage.film import FEWEST_FRAMES, UnreadableFilm, film_sha256, frames_of_films
from tests.storage.film.clips import CLIPS, ffmpeg, lavfi

PICTURES = Path(skimage.__file__).parent / "data"
PHOTOGRAPHS = (
    "astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "camera.png", "coins.png", "moon.png", "brick.png",
    "grass.png", "gravel.png", "motorcycle_left.png", "hubble_deep_field.jpg", "color.png", "cell.png", "ihc.png",
)  # fmt: skip
HEIGHT, WIDTH = 72, 96
COUNT = 24
Picture = np.ndarray


def photograph(name: str) -> Picture:
    """A picture of scikit-image's own data, grey."""
    return np.asarray(Image.open(PICTURES / name).convert("L"))


def photographs() -> list[Picture]:
    return [photograph(name) for name in PHOTOGRAPHS if (PICTURES / name).is_file()]


def small(picture: Picture) -> Picture:
    return np.asarray(Image.fromarray(picture).resize((WIDTH, HEIGHT), Image.Resampling.BOX))


def grain(frames: Iterable[Picture], deviation: float = 1.5) -> list[Picture]:
    """The frames with the noise of film, which is another on each; little of it is left at so small a size."""
    random = np.random.default_rng(5)
    return [(frame + random.normal(0, deviation, frame.shape)).clip(0, 255).astype(np.uint8) for frame in frames]


def write(folder: Path, frames: Iterable[Picture], name: str = "frame%04d.tif", first: int = 1) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, frame in enumerate(frames, first):
        paths.append(folder / (name % number))
        tifffile.imwrite(paths[-1], frame)
    return paths


def films(paths: Iterable[Path], *known: Path) -> dict[Path, list[Path]]:
    return frames_of_films(paths, lambda folder: folder in known)


def moving(folder: Path, clip: str) -> list[Path]:
    """The first three seconds of a real film."""
    folder.mkdir(parents=True)
    chain = f"scale={WIDTH}:{HEIGHT}:flags=area,format=gray"
    ffmpeg("-i", str(CLIPS / clip), "-vf", chain, "-frames:v", "75", str(folder / "frame%04d.tif"))
    return sorted(folder.iterdir())


def panning(step: int) -> list[Picture]:
    wide = np.asarray(Image.fromarray(photograph("coffee.png")).resize((WIDTH * 3, HEIGHT), Image.Resampling.BOX))
    return [wide[:, step * number : step * number + WIDTH] for number in range(COUNT)]


def fading() -> list[Picture]:
    frames = grain([small(photograph("astronaut.png"))] * COUNT, 1)
    return [(frame * (number / (COUNT - 1))).astype(np.uint8) for number, frame in enumerate(frames)]


@pytest.mark.parametrize("clip", ["bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4"])
def test_a_shot_that_moves_is_film(clip: str, tmp_path: Path) -> None:
    paths = moving(tmp_path / "reel", clip)
    assert films(paths) == {tmp_path / "reel": paths}


def test_two_shots_are_film(tmp_path: Path) -> None:
    frames = [*panning(1)[:12], *grain([small(photograph("rocket.jpg"))] * 12)]
    assert list(films(write(tmp_path / "reel", frames))) == [tmp_path / "reel"]


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(grain([small(photograph("astronaut.png"))] * COUNT), id="still"),
        pytest.param([small(photograph("astronaut.png"))] * COUNT, id="the same frame"),
        pytest.param([np.zeros((HEIGHT, WIDTH), np.uint8)] * COUNT, id="black"),
        pytest.param(panning(1), id="slow pan"),
        pytest.param(grain(panning(4)), id="faster pan"),
        pytest.param(fading(), id="fade"),
        pytest.param([(frame.astype(np.uint16) * 257) for frame in panning(2)], id="16 bit"),
    ],
)
def test_other_shots_are_film(frames: list[Picture], tmp_path: Path) -> None:
    paths = write(tmp_path / "reel", frames)
    assert films(paths) == {tmp_path / "reel": paths}


def test_photographs_with_numbers_are_no_film(tmp_path: Path) -> None:
    paths = write(tmp_path / "album", [small(picture) for picture in photographs()], "IMG_%04d.tif")
    assert len(paths) >= FEWEST_FRAMES
    assert films(paths) == {}


def test_photographs_of_one_room_are_no_film(tmp_path: Path) -> None:
    """Many pictures, several of each place: crops at other places of the same few photographs."""
    random = np.random.default_rng(11)
    crops = []
    for picture in photographs()[:8]:
        for _ in range(3):
            top, left = random.integers(0, picture.shape[0] // 2), random.integers(0, picture.shape[1] // 2)
            crops.append(small(picture[top : top + picture.shape[0] // 2, left : left + picture.shape[1] // 2]))
    assert films(write(tmp_path / "album", crops, "%d.tif")) == {}


WORDS = ("wheel", "mill", "water", "stone", "river", "winter", "letter", "mother", "village", "harvest", "railway")


def page(number: int) -> Picture:
    """A printed page: the same margins and lines, other words."""
    random = np.random.default_rng(number)
    image = Image.new("L", (480, 640), 235)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(15)
    for line in range(26):
        text = " ".join(random.choice(WORDS, 8))
        draw.text((50, 40 + 22 * line), text[: 58 if line % 7 else 30], fill=30, font=font)
    return np.asarray(image)


def card(number: int) -> Picture:
    """A card of a file: the same printed form, other handwriting, put on the scanner never quite alike."""
    random = np.random.default_rng(1000 + number)
    image = Image.new("L", (600, 400), 60)
    left, top = random.integers(0, 12, 2)
    draw = ImageDraw.Draw(image)
    draw.rectangle((10 + left, 10 + top, 570 + left, 370 + top), fill=225)
    font = ImageFont.load_default(14)
    for line, name in enumerate(("Name", "born", "at", "village", "trade", "remarks")):
        y = 40 + 52 * line + top
        draw.text((30 + left, y), name, fill=20, font=font)
        draw.line((110 + left, y + 20, 540 + left, y + 20), fill=120, width=1)
        x = 120.0
        while x < 120 + random.integers(150, 400):
            step = random.uniform(5, 11)
            rise = random.uniform(-14, 6)
            draw.line((x + left, y + 12, x + step + left, y + 12 + rise), fill=40, width=2)
            x += step
    return np.asarray(image)


@pytest.mark.parametrize("make", [page, card])
def test_pages_and_cards_are_no_film(make: object, tmp_path: Path) -> None:
    paths = write(tmp_path / "scans", grain((make(number) for number in range(COUNT)), 2), "%03d.tif")  # type: ignore[operator]
    assert films(paths) == {}


def test_too_few_are_no_film(tmp_path: Path) -> None:
    paths = write(tmp_path / "reel", panning(1)[:FEWEST_FRAMES])
    assert films(paths[1:]) == {}
    assert films(paths) == {tmp_path / "reel": paths}


def test_a_folder_that_is_known_for_a_film_stays_one(tmp_path: Path) -> None:
    paths = write(tmp_path / "reel", panning(1)[:3])
    assert films(paths, tmp_path / "reel") == {tmp_path / "reel": paths}
    assert films(paths, tmp_path) == {}


def test_dpx_is_always_film(tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    ffmpeg(*lavfi("testsrc2=size=64x48:duration=0.12:rate=25"), str(tmp_path / "scan" / "f%02d.dpx"))
    paths = sorted((tmp_path / "scan").iterdir())
    assert len(paths) == 3
    assert films(paths) == {tmp_path / "scan": paths}


def test_frames_that_cannot_be_read(tmp_path: Path) -> None:
    """A few of them leave a film a film, whose damage is told when it is decoded; many make it none."""
    paths = write(tmp_path / "reel", panning(1))
    paths[4].write_bytes(paths[4].read_bytes()[:200])
    assert films(paths) == {tmp_path / "reel": paths}
    for path in paths:
        path.write_bytes(b"II*\0 not a picture")
    assert films(paths) == {}


def test_frames_of_differing_size_are_no_film(tmp_path: Path) -> None:
    frames = [frame[: HEIGHT - 4 * (number % 3)] for number, frame in enumerate(panning(1))]
    assert films(write(tmp_path / "reel", frames)) == {}


def test_two_kinds_in_one_folder(tmp_path: Path) -> None:
    """Photographs beside a film's frames stay photographs; frames are put in the order of their numbers."""
    folder = tmp_path / "box"
    frames = write(folder, panning(1), "reel%d.tif", first=95)
    album = write(folder, [small(picture) for picture in photographs()], "IMG_%04d.tif")
    loose = write(folder, [small(photograph("coins.png"))], "slate.tif%d")  # no numbered name
    assert films([*album, *loose, *sorted(frames)]) == {folder: frames}


def test_two_films_in_one_folder_are_not_mixed_up_with_another_folder(tmp_path: Path) -> None:
    one = write(tmp_path / "one", panning(1), "a%02d.tif")
    more = write(tmp_path / "one", panning(2), "b%02d.tif")
    two = write(tmp_path / "two", panning(1), "a%02d.tif")
    assert films([*two, *more, *one]) == {tmp_path / "two": two, tmp_path / "one": [*one, *more]} or films(
        [*two, *more, *one]
    ) == {tmp_path / "two": two, tmp_path / "one": [*more, *one]}


def test_what_has_no_number_is_nothing(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("reel.tif", "1.jpg", "frame1.png", "2.tif.bak", ".tif")]
    assert films(paths) == {}


@pytest.mark.parametrize("name", ["frame%04d.tif", "%d.tif", "M\xfchle 1931 – %06d.tiff"])
def test_the_digest_of_a_folder_is_what_sha256sum_gives(name: str, tmp_path: Path) -> None:
    program = shutil.which("sha256sum")
    if program is None:
        pytest.skip("the program sha256sum is not installed")
    paths = write(tmp_path / "reel", panning(1), name, first=8)
    (tmp_path / "reel" / "notes.txt").write_text("Reel 4\n")
    listing = subprocess.run(
        [program, "--", *(path.name for path in paths)], cwd=tmp_path / "reel", capture_output=True, check=True
    ).stdout
    digest = subprocess.run([program], input=listing, capture_output=True, check=True, text=False).stdout
    assert film_sha256(tmp_path / "reel") == digest.decode().split()[0]


def test_the_digest_of_a_file_is_its_own(tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(b"film")
    assert film_sha256(tmp_path / "film.mkv") == hashlib.sha256(b"film").hexdigest()


def test_the_digest_of_a_folder_that_lacks_a_frame(tmp_path: Path) -> None:
    paths = write(tmp_path / "reel", panning(1))
    before = film_sha256(tmp_path / "reel")
    paths[-1].unlink()
    assert film_sha256(tmp_path / "reel") != before
    paths[7].unlink()
    with pytest.raises(UnreadableFilm, match="lacks frame 8 of 1 to 23"):
        film_sha256(tmp_path / "reel")
