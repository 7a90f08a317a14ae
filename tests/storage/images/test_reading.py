"""Masters of every kind come in whole, upright and in sRGB."""

import hashlib
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from storage.errors import UnreadableImage
from storage.images import identify, identify_pages, read_master
from storage.images.records import Pixels


def test_every_kind_is_what_pillow_or_the_original_says(masters: Path) -> None:
    for path in sorted(masters.iterdir()):
        if path.stem in ("grey16", "rgb48"):
            continue
        image = Image.open(path)
        expected = np.asarray(image.convert("L" if image.mode in ("L", "1") else "RGB"))
        master = read_master(path)
        assert np.array_equal(master.pixels, expected), path.name
        assert master.facts == identify(path)
        assert (master.facts.height, master.facts.width) == master.pixels.shape[:2]
        assert master.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["grey16.tif", "grey16.png", "rgb48.tif", "rgb48.png"])
def test_sixteen_bits_stay_sixteen_bits(masters: Path, name: str, grey16: Pixels, rgb48: Pixels) -> None:
    master = read_master(masters / name)
    assert master.pixels.dtype == np.uint16
    assert np.array_equal(master.pixels, grey16 if "grey" in name else rgb48)
    assert (master.facts.bit_depth, master.bit_depth) == (16, 16)
    assert master.facts.channels == (1 if "grey" in name else 3)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "lzw", "zlib", "packbits"])
@pytest.mark.parametrize("blocks", [{}, {"tile": (64, 32)}, {"rowsperstrip": 7}], ids=["one", "tiles", "strips"])
@pytest.mark.parametrize("predictor", [False, True])
def test_tiff_storage(
    tmp_path: Path,
    rgb48: Pixels,
    order: str,
    compression: str | None,
    blocks: dict[str, object],
    predictor: bool,
) -> None:
    if predictor and compression not in ("lzw", "zlib"):
        pytest.skip("no predictor without LZW or deflate")
    path = tmp_path / "a.tif"
    how = {"byteorder": order, "compression": compression, "predictor": predictor, **blocks}
    tifffile.imwrite(path, rgb48, photometric="rgb", **how)
    assert np.array_equal(read_master(path).pixels, rgb48)
    tifffile.imwrite(path, rgb48[..., 0], photometric="minisblack", bigtiff=True, **how)
    assert np.array_equal(read_master(path).pixels, rgb48[..., 0])


def test_white_is_zero_and_separate_planes(tmp_path: Path, grey16: Pixels, rgb48: Pixels) -> None:
    tifffile.imwrite(tmp_path / "a.tif", grey16, photometric="miniswhite")
    assert np.array_equal(read_master(tmp_path / "a.tif").pixels, 65535 - grey16)
    planes = np.ascontiguousarray(rgb48.transpose(2, 0, 1))
    tifffile.imwrite(tmp_path / "b.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_master(tmp_path / "b.tif").pixels, rgb48)


@pytest.mark.parametrize("compression", [None, "group3", "group4", "tiff_ccitt"])
def test_bilevel_tiff(tmp_path: Path, sepia: Pixels, compression: str | None) -> None:
    bits = sepia[..., 1] > 100
    Image.fromarray(bits).save(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(read_master(tmp_path / "a.tif").pixels, bits * np.uint8(255))


def test_transparency_is_laid_on_white(tmp_path: Path, sepia: Pixels) -> None:
    alpha = np.full(sepia.shape[:2], 255, np.uint8)
    Image.fromarray(np.dstack([sepia, alpha])).save(tmp_path / "a.png")
    assert np.array_equal(read_master(tmp_path / "a.png").pixels, sepia)
    alpha[:10] = 0
    for name in ("a.png", "a.tif"):
        Image.fromarray(np.dstack([sepia, alpha])).save(tmp_path / name)
        master = read_master(tmp_path / name)
        assert (master.pixels[:10] == 255).all()
        assert np.array_equal(master.pixels[10:], sepia[10:])
        assert any("transparent" in note for note in master.metadata.notes)


@pytest.mark.parametrize("mode", ["L", "RGB", "1"])
def test_a_transparent_colour_is_laid_on_white(tmp_path: Path, sepia: Pixels, mode: str) -> None:
    image = Image.fromarray(sepia).convert(mode)
    plain = np.asarray(image.convert("L" if mode == "1" else mode))
    hidden = int(plain[5, 5]) if plain.ndim == 2 else tuple(int(value) for value in plain[5, 5])
    image.save(tmp_path / "a.png", transparency=min(hidden, 1) if mode == "1" else hidden)
    master = read_master(tmp_path / "a.png")
    same = plain == np.array(hidden)
    expected = np.where(same if plain.ndim == 2 else same.all(axis=2, keepdims=True), 255, plain)
    assert np.array_equal(master.pixels, expected)
    assert any("transparent" in note for note in master.metadata.notes)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
def test_orientation_is_applied(tmp_path: Path, sepia: Pixels, orientation: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(sepia).save(path, exif=exif)
    with Image.open(path) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    master = read_master(path)
    assert np.array_equal(master.pixels, upright)
    assert master.metadata.orientation == orientation
    assert identify(path) == master.facts


def test_resolution_and_descriptions(masters: Path, tmp_path: Path, grey16: Pixels) -> None:
    assert identify(masters / "sepia.jpg").ppi == (300.0, 300.0)
    assert identify(masters / "rgb.png").ppi == (300.0, 300.0)
    tifffile.imwrite(
        tmp_path / "a.tif",
        grey16,
        resolution=(118.1, 118.1),
        resolutionunit="centimeter",
        description="Box 3, No. 14",
        software="ScanTool 2",
        datetime="2011:05:06 07:08:09",
        extratags=[(285, 2, 7, b"page 7\0", True)],
        metadata=None,
    )
    metadata = read_master(tmp_path / "a.tif").metadata
    assert metadata.ppi == pytest.approx((300, 300), abs=0.1)
    assert metadata.description == "Box 3, No. 14"
    assert metadata.software == "ScanTool 2"
    assert metadata.datetime == "2011:05:06 07:08:09"
    assert metadata.page_name == "page 7"


def test_several_pages_are_read_one_by_one_and_a_thumbnail_is_none(
    tmp_path: Path, sepia: Pixels, grey16: Pixels
) -> None:
    pages = [sepia, grey16, sepia[::-1]]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number, page in enumerate(pages, start=1):
            writer.write(page, description=f"leaf {number}", resolution=(100 * number, 100 * number), metadata=None)
    assert identify(tmp_path / "a.tif").pages == 3
    facts = identify_pages(tmp_path / "a.tif")
    assert [(one.channels, one.bit_depth) for one in facts] == [(3, 8), (1, 16), (3, 8)]
    for number, page in enumerate(pages, start=1):
        master = read_master(tmp_path / "a.tif", page=number)
        assert np.array_equal(master.pixels, page)
        assert (master.page, master.facts) == (number, facts[number - 1])
        assert (master.metadata.description, master.metadata.ppi) == (f"leaf {number}", (100 * number, 100 * number))
    with pytest.raises(UnreadableImage, match="has no page 4"):
        read_master(tmp_path / "a.tif", page=4)
    with tifffile.TiffWriter(tmp_path / "b.tif") as writer:
        writer.write(sepia, photometric="rgb", metadata=None)
        writer.write(sepia[::8, ::8], photometric="rgb", subfiletype=1, metadata=None)
    assert np.array_equal(read_master(tmp_path / "b.tif").pixels, sepia)
    assert len(identify_pages(tmp_path / "b.tif")) == 1


def test_a_list_of_pages_that_breaks_off_is_told(tmp_path: Path, sepia: Pixels) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for _ in range(3):
            writer.write(sepia, photometric="rgb", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        third = file.pages[2].offset
    content = (tmp_path / "a.tif").read_bytes()
    (tmp_path / "a.tif").write_bytes(content[:third])
    with pytest.raises(UnreadableImage, match="breaks off after page 2") as refused:
        identify(tmp_path / "a.tif")
    assert refused.value.error_type == "truncated"


def test_a_page_that_cannot_be_used_is_named(tmp_path: Path, sepia: Pixels) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(sepia, photometric="rgb", metadata=None)
        writer.write(sepia.astype(np.float32), photometric="rgb", metadata=None)
    with pytest.raises(UnreadableImage, match="page 2 is a TIFF of floating-point") as refused:
        identify(tmp_path / "a.tif")
    assert refused.value.error_type == "unsupported"


class TestColour:
    """Profiles: sRGB is left alone, the others are converted."""

    def test_srgb_under_any_name_changes_no_sample(self, tmp_path: Path, sepia: Pixels) -> None:
        profile = bytes(imagecodecs.cms_profile("srgb"))
        Image.fromarray(sepia).save(tmp_path / "a.png", icc_profile=profile)
        master = read_master(tmp_path / "a.png")
        assert np.array_equal(master.pixels, sepia)
        assert master.metadata.icc == profile

    @pytest.mark.parametrize("depth", [8, 16])
    def test_adobe_rgb_is_converted(
        self, tmp_path: Path, sepia: Pixels, rgb48: Pixels, adobe_rgb: bytes, depth: int
    ) -> None:
        stored = sepia if depth == 8 else rgb48
        tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", iccprofile=adobe_rgb)
        found = read_master(tmp_path / "a.tif").pixels
        assert found.dtype == stored.dtype
        top = 2**depth - 1
        linear = (stored / top) ** 2.19921875
        # Adobe RGB (1998) to sRGB, both D65: the product of their matrices.
        matrix = np.array([[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]])
        mixed = np.clip(linear @ matrix.T, 0, 1)
        encoded = np.where(mixed <= 0.0031308, 12.92 * mixed, 1.055 * mixed ** (1 / 2.4) - 0.055)
        assert np.abs(found / top - encoded).max() < (0.003 if depth == 8 else 0.0015)

    def test_grey_gamma_is_converted_at_its_depth(self, tmp_path: Path, grey16: Pixels) -> None:
        profile = bytes(imagecodecs.cms_profile("gray", gamma=2.2))
        tifffile.imwrite(tmp_path / "a.tif", grey16, photometric="minisblack", iccprofile=profile)
        found = read_master(tmp_path / "a.tif").pixels
        assert found.dtype == np.uint16
        linear = (grey16 / 65535) ** 2.2
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        assert np.abs(found / 65535 - encoded).max() < 0.001

    def test_linear_8_bit_scans_gain_bits_instead_of_losing_tones(self, tmp_path: Path, sepia: Pixels) -> None:
        profile = bytes(imagecodecs.cms_profile("gray", gamma=1.0))
        Image.fromarray(sepia[..., 1]).save(tmp_path / "a.png", icc_profile=profile)
        master = read_master(tmp_path / "a.png")
        assert master.pixels.dtype == np.uint16
        assert len(np.unique(master.pixels)) == len(np.unique(sepia[..., 1]))

    @pytest.mark.parametrize("damage", [b"", bytes(3000), b"RGB " * 700])
    def test_a_broken_profile_is_noted_and_left_out(
        self, tmp_path: Path, sepia: Pixels, adobe_rgb: bytes, damage: bytes
    ) -> None:
        broken = adobe_rgb[:200] + damage
        tifffile.imwrite(tmp_path / "a.tif", sepia, photometric="rgb", iccprofile=broken)
        master = read_master(tmp_path / "a.tif")
        assert np.array_equal(master.pixels, sepia)
        assert any("profile" in note for note in master.metadata.notes)

    def test_a_profile_for_another_kind_of_picture_is_noted(
        self, tmp_path: Path, adobe_rgb: bytes, sepia: Pixels
    ) -> None:
        Image.fromarray(sepia[..., 1]).save(tmp_path / "a.png", icc_profile=adobe_rgb)
        master = read_master(tmp_path / "a.png")
        assert np.array_equal(master.pixels, sepia[..., 1])
        assert any("another kind" in note for note in master.metadata.notes)


def test_a_last_strip_filled_up_to_full_height(tmp_path: Path, sepia: Pixels) -> None:
    height = sepia.shape[0]
    padded = np.concatenate([sepia, np.zeros((-height % 64, *sepia.shape[1:]), np.uint8)])
    strips = (zlib.compress(padded[top : top + 64].tobytes()) for top in range(0, height, 64))
    tifffile.imwrite(
        tmp_path / "a.tif",
        strips,
        shape=sepia.shape,
        dtype=np.uint8,
        photometric="rgb",
        rowsperstrip=64,
        compression="zlib",
    )
    assert np.array_equal(read_master(tmp_path / "a.tif").pixels, sepia)
