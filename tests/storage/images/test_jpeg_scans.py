"""A JPEG in several scans is read whole or refused, also if a cut one was closed by an end mark."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from storage.errors import UnreadableImage
from storage.images import read_master
from storage.images.records import Pixels

END = b"\xff\xd9"


@pytest.fixture(scope="session", params=["RGB", "L", "CMYK"])
def progressive(request: pytest.FixtureRequest, sepia: Pixels) -> bytes:
    out = BytesIO()
    Image.fromarray(sepia).convert(request.param).save(out, "JPEG", progressive=True, quality=90)
    return out.getvalue()


def one_component_a_scan(content: bytes) -> bytes:
    """A sequential JPEG of the grey one's scan three times, each for one component."""
    frame, scan = content.index(b"\xff\xc0"), content.index(b"\xff\xda")
    length = int.from_bytes(content[frame + 2 : frame + 4], "big")
    size = content[frame + 4 : frame + 9]
    components = b"".join(bytes((name, 0x11, 0)) for name in (1, 2, 3))
    header = b"\xff\xc0" + (8 + len(components)).to_bytes(2, "big") + size + b"\3" + components
    coded = content[scan + 10 : content.rindex(END)]
    scans = (b"\xff\xda\0\x08\1" + bytes((name, 0, 0, 63, 0)) + coded for name in (1, 2, 3))
    return content[:frame] + header + content[frame + 2 + length : scan] + b"".join(scans) + END


def outcome(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    try:
        read_master(path)
    except UnreadableImage as refused:
        return refused.error_type
    return "read"


def test_a_scan_that_is_missing(progressive: bytes, tmp_path: Path) -> None:
    starts = [place for place in range(len(progressive)) if progressive.startswith(b"\xff\xda", place)]
    assert len(starts) >= 6
    assert outcome(tmp_path / "a.jpg", progressive) == "read"
    for start in starts[1:]:
        assert outcome(tmp_path / "a.jpg", progressive[:start] + END) == "truncated"


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.97, 0.995])
def test_a_cut_that_was_closed(progressive: bytes, tmp_path: Path, share: float) -> None:
    assert outcome(tmp_path / "a.jpg", progressive[: int(len(progressive) * share)] + END) == "truncated"


def test_filling_and_other_data_at_the_end_do_no_harm(progressive: bytes, tmp_path: Path) -> None:
    assert outcome(tmp_path / "a.jpg", progressive[:-2] + b"\xff\xff\xff" + END + b"more" + END) == "read"


def test_one_scan_for_each_component(masters: Path, tmp_path: Path) -> None:
    grey = (masters / "grey.jpg").read_bytes()
    content = one_component_a_scan(grey)
    assert outcome(tmp_path / "a.jpg", content) == "read"
    luma = np.asarray(Image.open(tmp_path / "a.jpg").convert("YCbCr"))[..., 0]
    assert luma.shape == np.asarray(Image.open(masters / "grey.jpg")).shape
    for scan in (1, 2):
        cut = content.index(bytes((0xFF, 0xDA, 0, 8, 1, scan + 1)))
        assert outcome(tmp_path / "a.jpg", content[:cut] + END) == "truncated"
    assert outcome(tmp_path / "a.jpg", content[: int(len(content) * 0.9)] + END) == "truncated"


def test_a_comment_before_the_end_mark_hides_no_cut(masters: Path, tmp_path: Path) -> None:
    content = (masters / "grey.jpg").read_bytes()[:-2]
    comment = b"\xff\xfe\0\7saved" + END
    assert outcome(tmp_path / "a.jpg", content + comment) == "read"
    assert outcome(tmp_path / "a.jpg", content[: len(content) // 2] + comment) == "truncated"
