"""Masters read in the decoder process are those read here."""

import dataclasses
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.decoding import Decoder
from storage.decoding.registry import MASTERS
from storage.errors import UnreadableImage
from storage.images import identify_pages, read_master
from storage.images.rows import whole
from tests.storage.decoding.conftest import SCAN
from tests.storage.decoding.functions import REGISTRY

PHOTOGRAPH = Path(__file__).parents[2] / "data" / "dust_bowl_home.jpg"


@pytest.fixture(scope="module")
def masters(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("masters")
    photograph = Image.open(PHOTOGRAPH)
    samples = np.asarray(photograph)
    paths = [PHOTOGRAPH, folder / "large.png", folder / "deep.tif", folder / "grey.webp", folder / "profile.tif"]
    photograph.resize((1500, 1000)).save(paths[1], dpi=(300, 300))
    tifffile.imwrite(paths[2], samples.astype(np.uint16) * 257, photometric="rgb", description="a house")
    photograph.convert("L").save(paths[3], lossless=True)
    photograph.save(paths[4], icc_profile=_wide_profile(), compression="tiff_lzw")
    return paths


def _wide_profile() -> bytes:
    """A profile of another RGB space than sRGB."""
    primaries = [0.64, 0.33, 1, 0.21, 0.71, 1, 0.15, 0.06, 1]
    return bytes(imagecodecs.cms_profile("rgb", whitepoint=[0.3127, 0.329, 1], primaries=primaries, gamma=2.2))


def test_masters_and_headers_are_those_read_here(masters: list[Path]) -> None:
    with Decoder() as decoder:
        for path in masters:
            expected, found = read_master(path), decoder.read(path)
            assert np.array_equal(whole(found.samples), whole(expected.samples))
            assert found.samples.dtype == expected.samples.dtype
            assert np.array_equal(found.pixels, expected.pixels)
            for field in dataclasses.fields(found):
                if field.name != "samples":
                    assert getattr(found, field.name) == getattr(expected, field.name), field.name
            for curve, other in zip(found.encoding.curves, expected.encoding.curves, strict=True):
                assert np.array_equal(curve, other)
            assert decoder.identify(path) == identify_pages(path)


def test_a_page_and_a_limit_are_those_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "pages.tif"
    pages = [Image.new("L", (40, 30), 50 * number) for number in range(3)]
    pages[0].save(path, save_all=True, append_images=pages[1:])
    with Decoder() as decoder:
        assert len(decoder.identify(path)) == 3
        assert int(whole(decoder.read(path, page=3).samples)[0, 0]) == 100
        with pytest.raises(UnreadableImage, match="more than the limit of 1,199") as caught:
            decoder.read(path, max_pixels=1199)
    assert caught.value.error_type == "too_large"


def test_refusals_are_those_that_are_made_here(tmp_path: Path, masters: list[Path]) -> None:
    contents = [
        b"",
        b"no picture",
        b"\x89PNG\r\n\x1a\n",
        PHOTOGRAPH.read_bytes()[:5000],
        masters[1].read_bytes()[:9000],
    ]
    paths = [tmp_path, tmp_path / "not there.png"]
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(content)
    with Decoder() as decoder:
        for path in paths:
            with pytest.raises(UnreadableImage) as expected:
                read_master(path)
            with pytest.raises(UnreadableImage) as found:
                decoder.read(path)
            assert found.value.args == expected.value.args
            assert found.value.error_type == expected.value.error_type


def test_what_the_system_says_of_a_master_is_the_cause(tmp_path: Path) -> None:
    with Decoder() as decoder, pytest.raises(UnreadableImage, match="no such file") as caught:
        decoder.read(tmp_path / "not there.png")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_picture_that_does_not_fit_into_the_memory_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "white.png"
    Image.new("RGB", (12_000, 12_000), "white").save(path, compress_level=1)
    with Decoder(memory_bytes=256 << 20) as decoder:
        with pytest.raises(UnreadableImage, match="needs more memory than there is") as caught:
            decoder.read(path)
        assert caught.value.error_type == "too_large"
        assert decoder.identify(PHOTOGRAPH) == identify_pages(PHOTOGRAPH)


def test_damaged_masters_are_refused_or_read_and_nothing_else(tmp_path: Path, masters: list[Path]) -> None:
    random = np.random.default_rng(5)
    messages = []
    path = tmp_path / "damaged"
    with Decoder(patience=20) as decoder:
        for number in range(60):
            content = bytearray(masters[number % len(masters)].read_bytes()[:200_000])
            for place in random.integers(0, len(content), 8):
                content[place] = random.integers(0, 256)
            path.write_bytes(content)
            try:
                master = decoder.read(path, max_pixels=4_000_000)
            except UnreadableImage as error:
                messages.append(error.message)
            else:
                assert master.samples.shape[0] * master.samples.shape[1] <= 4_000_000
    assert messages
    assert all(message.startswith("damaged ") and "\n" not in message for message in messages)


def test_the_process_imports_only_what_reads_pictures() -> None:
    registry = dataclasses.replace(REGISTRY, preload=(*MASTERS.preload, *REGISTRY.preload))
    with Decoder(registry=registry) as decoder:
        modules = decoder.call("modules", SCAN)
    assert isinstance(modules, list)
    assert "storage.images.reading" in modules
    assert not {"torch", "prefect", "sqlalchemy", "av", "cv2", "faiss", "pikepdf", "pypdfium2"} & set(modules)
