"""Pages to be joined: some as they are written here, some as masters come."""

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from storage.images.records import Pixels
from storage.images.srgb import srgb_profile
from storage.images.tiff_writer import write_tiff
from tests.storage.images.tiff_join.crafted_tiffs import CAMERA, SHORT, crafted, described


def saved(picture: Image.Image, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, "TIFF", **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory, sepia: Pixels, rgb48: Pixels) -> dict[str, Path]:
    """Pages as they are written here, of every kind."""
    folder = tmp_path_factory.mktemp("ours")
    large = np.tile(sepia, (12, 9, 1))
    kinds = {
        "strips8": (sepia, False),
        "strips16": (rgb48, False),
        "tiles8": (large, False),
        "bigtiff16": (rgb48[:99, :77], True),
    }
    found = {}
    for name, (pixels, big) in kinds.items():
        found[name] = folder / f"{name}.tif"
        write_tiff(
            found[name],
            pixels,
            icc=srgb_profile(),
            xmp=f"<x:xmpmeta xmlns:x='adobe:ns:meta/'><!--{name}--></x:xmpmeta>".encode(),
            iptc=b"\x1c\x02\x78\0\5house",
            exif=CAMERA,
            ppi=(300, 300),
            big=big,
        )
    return found


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory, sepia: Pixels, grey16: Pixels) -> dict[str, Path]:
    """Masters of one page each whose samples lie in a file in all the ways that matter."""
    folder = tmp_path_factory.mktemp("parts")
    picture = Image.fromarray(sepia)
    (folder / "fax.tif").write_bytes(saved(picture.convert("1"), compression="group4"))
    (folder / "jpeg.tif").write_bytes(saved(picture, compression="jpeg", quality=90))
    (folder / "palette.tif").write_bytes(saved(picture.convert("P")))
    (folder / "lzw.tif").write_bytes(saved(picture, compression="tiff_lzw"))
    for name, compression in {"lzw": "lzw", "deflate": "zlib", "packbits": "packbits", "raw": None}.items():
        predictor = {"predictor": True} if name in ("lzw", "deflate") else {}
        tifffile.imwrite(folder / f"{name}16be.tif", grey16, photometric="minisblack", byteorder=">",
                         compression=compression, rowsperstrip=50, metadata=None, **predictor)  # fmt: skip
    planes = np.moveaxis(sepia.astype(np.uint16) * 257, 2, 0)
    tifffile.imwrite(folder / "planes16be.tif", planes, photometric="rgb", planarconfig="separate", byteorder=">",
                     compression="zlib", tile=(64, 80), metadata=None)  # fmt: skip
    bilevel = np.packbits(sepia[..., 0] > 100, axis=1)
    turned = imagecodecs.bitorder_encode(bilevel.tobytes())
    tags = described(320, 246, 1, len(turned), t266=(SHORT, [2]))
    crafted(folder / "fillorder.tif", ">", [(tags, turned)])
    return {path.stem: path for path in sorted(folder.iterdir())}
