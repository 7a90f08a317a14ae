"""What a scan shows: every kind, and the grey photographs that look like another."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from retrieval import RetrievalError
from retrieval.content import judge, load_direction, negative_margin
from retrieval.features import Networks
from sscn.efficientnet import load_efficientnet
from sscn.pictures import Picture
from sscn.vgg import load_vgg
from storage.images import read_master

_ROOT = Path(__file__).resolve().parents[2]
_DEMO = _ROOT / "flows" / "demo"
GREY = [*sorted((_DEMO / "archive").rglob("*.jpg")), _ROOT / "tests" / "data" / "dust_bowl_home.jpg"]
COLOUR = [
    _DEMO / "references" / f"{name}.jpg"
    for name in ("portrait-astronaut", "coffee-cup", "cat-chelsea", "fig-in-red-bowl", "leaves-and-blue-sky")
]
_SENTENCE = "The plates were washed, dried and put away in the order in which they had been exposed that day. "

Pixels = NDArray[np.uint8]
Change = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]


def grey_of(path: Path) -> Pixels:
    """A grey photograph (H, W) with a long side of 500 pixels."""
    picture = Image.fromarray(read_master(path).pixels.astype(np.uint8)).convert("L")
    picture.thumbnail((500, 500))
    return np.asarray(picture)


def three(grey: NDArray[np.generic]) -> NDArray[np.float32]:
    return np.repeat(grey.astype(np.float32)[:, :, None], 3, axis=2)


def samples(picture: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def toned(picture: NDArray[np.float32], dark: tuple[int, ...], light: tuple[int, ...]) -> NDArray[np.float32]:
    share = picture / 255
    return np.asarray(np.array(dark) * (1 - share) + np.array(light) * share, np.float32)


def sepia(picture: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    return toned(picture, (48, 28, 12), (250, 232, 196))


def cyanotype(picture: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    return toned(picture, (8, 30, 90), (225, 238, 245))


def amber(picture: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    return toned(picture, (10, 2, 0), (255, 176, 60))


def shifted(picture: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    return np.stack(
        [np.roll(picture[:, :, 0], (2, -3), (0, 1)), picture[:, :, 1], np.roll(picture[:, :, 2], (-2, 2), (0, 1))],
        axis=2,
    )


def stained(picture: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    height, width, _ = picture.shape
    spots = np.zeros((height, width), np.uint8)
    for _ in range(14):
        centre = (int(random.integers(0, width)), int(random.integers(0, height)))
        cv2.circle(spots, centre, int(random.integers(8, 90)), 255, -1)
    share = cv2.GaussianBlur(spots, (0, 0), 9).astype(np.float32)[:, :, None] / 255
    return np.asarray(picture * (1 - share * np.array([0.12, 0.25, 0.5])), np.float32)


def mounted(picture: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    mount = np.full((picture.shape[0] + 160, picture.shape[1] + 160, 3), (96, 130, 88), np.float32)
    mount[80:-80, 80:-80] = picture
    return mount


def with_chart(picture: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    strip = np.full((44, picture.shape[1], 3), 40, np.float32)
    for number, patch in enumerate([(200, 30, 30), (30, 150, 60), (30, 60, 180), (240, 220, 40), (190, 60, 160)]):
        strip[4:-4, 10 + 50 * number : 52 + 50 * number] = patch
    return np.concatenate([picture, strip])


def chroma_noise(picture: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    noisy = samples(sepia(picture, random) + random.normal(0, 8, picture.shape))
    _, coded = cv2.imencode(".jpg", noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 40])
    return np.asarray(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[:, :, ::-1], np.float32)


def faded(picture: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    return sepia(150 + picture * 0.16, random)


def night(picture: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    return np.asarray(
        255 * (picture / 255) ** 2.5 * 0.5 + random.normal(0, 2, picture.shape[:2])[:, :, None], np.float32
    )


def fog(picture: NDArray[np.float32], _: np.random.Generator) -> NDArray[np.float32]:
    return np.asarray(130 + cv2.GaussianBlur(picture, (0, 0), 3) * 0.28, np.float32)


TRAPS: tuple[Change, ...] = (
    sepia, cyanotype, amber, shifted, stained, mounted, with_chart, chroma_noise, faded, night, fog,
)  # fmt: skip


@pytest.mark.parametrize("path", GREY, ids=lambda path: path.stem)
def test_a_grey_photograph_is_one_whatever_its_depth_and_channels(path: Path) -> None:
    grey = grey_of(path)
    forms: list[Picture] = [grey, samples(three(grey)), three(grey.astype(np.uint16) * 257).astype(np.uint16)]
    for form in forms:
        found = judge(form)
        assert (found.kind, found.reason) == ("photograph", None)
        assert 0.5 <= found.confidence <= 1


@pytest.mark.parametrize("change", TRAPS, ids=lambda change: change.__name__)
def test_what_age_and_scanners_do_to_a_grey_photograph_is_no_other_kind(change: Change) -> None:
    for number, path in enumerate(GREY[:3]):
        picture = samples(change(three(grey_of(path)), np.random.default_rng(number)))
        assert judge(picture).kind == "photograph", path.name


@pytest.mark.parametrize("path", COLOUR, ids=lambda path: path.stem)
def test_colour_photographs_are_found(path: Path) -> None:
    pixels = read_master(path).pixels
    found = judge(pixels)
    assert found.kind == "colour"
    assert found.confidence > 0.5
    assert found.reason == "the picture has colours already"
    small = np.asarray(Image.fromarray(pixels.astype(np.uint8)).resize((400, 300)))
    assert judge(small.astype(np.uint16) * 257).kind == "colour"


def page(height: int = 1400, width: int = 1000) -> NDArray[np.float32]:
    """Uneven yellowish paper with a grain, (H, W, 3)."""
    random = np.random.default_rng(4)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    light = 1 - 0.1 * (x + 0.4) ** 2 - 0.05 * y**2
    paper = light[:, :, None] * np.array([238, 228, 205]) + random.normal(0, 2.5, (height, width, 1))
    return np.asarray(paper, np.float32)


def written(paper: NDArray[np.float32], lines: int = 34) -> NDArray[np.float32]:
    sheet = Image.new("L", (paper.shape[1], paper.shape[0]), 255)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(21)
    for line in range(lines):
        start = 7 * line % len(_SENTENCE)
        pen.text((90, 90 + 36 * line), (_SENTENCE * 2)[start : start + 74], fill=30, font=font)
    return np.asarray(paper * np.asarray(sheet, np.float32)[:, :, None] / 255, np.float32)


def test_a_page_of_text_is_text_upright_and_on_its_side() -> None:
    sheet = samples(written(page()))
    for turned in (sheet, np.rot90(sheet), sheet[:, :, 1]):
        found = judge(np.ascontiguousarray(turned))
        assert found.kind == "text"
        assert found.reason == "the page holds text and no picture"


@pytest.mark.parametrize("path", GREY, ids=lambda path: path.stem)
def test_a_page_with_a_picture_is_no_page_of_text(path: Path) -> None:
    sheet = written(page(), 16)
    picture = three(grey_of(path))
    height, width = min(600, picture.shape[0]), min(800, picture.shape[1])
    sheet[720 : 720 + height, 100 : 100 + width] = sepia(picture[:height, :width], np.random.default_rng(0)) * 0.9
    assert judge(samples(sheet)).kind == "photograph"


def test_a_photograph_with_a_caption_is_a_photograph() -> None:
    for path in GREY:
        picture = three(grey_of(path))
        strip = written(page(300, picture.shape[1]), 3)[70:220]
        assert judge(samples(np.concatenate([picture, strip]))).kind == "photograph"


def empty_pages() -> dict[str, Pixels]:
    random = np.random.default_rng(2)
    paper = page()
    punched, numbered, bedded, through = (paper.copy() for _ in range(4))
    for top in (400, 1000):
        cv2.circle(punched, (40, top), 16, (20, 20, 20), -1)
    number = Image.new("L", (1000, 1400), 255)
    ImageDraw.Draw(number).text((880, 50), "117", fill=40, font=ImageFont.load_default(30))
    numbered *= np.asarray(number, np.float32)[:, :, None] / 255
    bedded[:, :50], bedded[-30:] = 12, 12
    through -= 0.08 * cv2.GaussianBlur(paper - written(paper), (0, 0), 2)[:, ::-1]
    film = 120 - 25 * np.hypot(*np.mgrid[-1:1:600j, -1:1:900j]) ** 2 + random.normal(0, 3, (600, 900))
    cv2.line(film, (300, 0), (310, 600), 230, 1)
    return {
        "paper": samples(paper),
        "punched": samples(punched),
        "page number": samples(numbered),
        "dark edges": samples(bedded),
        "show-through": samples(through),
        "film": samples(film),
        "scanner bed": samples(250 + random.normal(0, 1, (800, 600, 3))),
        "black": np.zeros((800, 600), np.uint8),
    }


@pytest.mark.parametrize("name", empty_pages())
def test_empty_pages_and_frames_are_blank(name: str) -> None:
    found = judge(empty_pages()[name])
    assert found.kind == "blank"
    assert found.reason == "the page or frame is empty"


def test_a_colour_negative_is_known_by_its_orange_film() -> None:
    for path in COLOUR[:2]:
        positive = read_master(path).pixels.astype(np.float32) / 255
        film = samples(255 * np.array([0.95, 0.62, 0.38]) * (1 - 0.8 * positive))
        found = judge(film)
        assert found.kind == "negative"
        assert found.reason == "the picture is a negative; invert it first"


@pytest.fixture(scope="module")
def networks() -> Networks:
    return Networks(load_vgg(), load_efficientnet())


def test_an_inverse_looks_more_like_a_negative_and_no_positive_is_one(networks: Networks) -> None:
    for path in GREY[:2]:
        grey = grey_of(path)
        assert negative_margin(grey, networks) < 0 < negative_margin(255 - grey, networks) + 0.5


def test_an_inverse_is_a_negative_only_where_it_can_be_looked_for(networks: Networks) -> None:
    inverse = 255 - grey_of(GREY[1])
    assert judge(inverse, networks).kind == "negative"
    assert judge(inverse).kind == "photograph"


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (40, 8000), (48, 48, 3), (49, 4000, 3)])
def test_scans_of_any_shape_are_judged(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8)
    found = judge(picture)
    assert 0.5 <= found.confidence <= 1
    assert (found.reason is None) == (found.kind == "photograph")


def test_damaged_weights_are_refused_with_a_remedy(tmp_path: Path) -> None:
    damaged = tmp_path / "content.safetensors"
    with pytest.raises(RetrievalError, match=r"cannot be read.*reinstall"):
        load_direction(damaged)
    damaged.write_bytes(b"no weights")
    with pytest.raises(RetrievalError, match=r"damaged.*reinstall"):
        load_direction(damaged)
