"""The evaluation: its cases, the methods it compares, and what it makes of them."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data as samples

from sscn import SscnError, colour
from sscn.efficientnet import load_efficientnet
from sscn.evaluation import PhotographSet, evaluate, film, make_methods, metrics
from sscn.evaluation.baselines import TrainingFreeWarp, grey, histogram_transfer
from sscn.evaluation.blotches import blotches
from sscn.evaluation.cases import Pair, pair_count, pairs_of_photograph
from sscn.evaluation.comparison import METRICS
from sscn.evaluation.deformation import with_contrast, with_gamma
from sscn.evaluation.sheets import CELL, ContactSheets
from tests.sscn.conftest import small

Pixels = NDArray[np.uint8]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photographs, and three files that cannot be used."""
    found = tmp_path_factory.mktemp("held-out")
    (found / "more").mkdir()
    for name in ("chelsea", "coffee", "more/astronaut"):
        Image.fromarray(small(getattr(samples, Path(name).name)(), 160)).save(found / f"{name}.png")
    Image.fromarray(small(samples.camera(), 160)).save(found / "grey.png")
    Image.fromarray(samples.coffee()[:20, :20]).save(found / "tiny.png")
    (found / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (found / "notes.txt").write_text("no picture")
    return found


@pytest.fixture(scope="module")
def photographs(folder: Path) -> PhotographSet:
    return PhotographSet.open(folder)


@pytest.fixture(scope="module")
def pairs(photographs: PhotographSet) -> list[Pair]:
    return list(pairs_of_photograph(photographs, 0))


def test_usable_photographs_are_found_and_others_named(photographs: PhotographSet) -> None:
    assert photographs.names == ("chelsea.png", "coffee.png", "more/astronaut.png")
    unused = "\n".join(photographs.unused)
    assert "grey.png: it has next to no colour" in unused
    assert "tiny.png: its short side has less than 64 pixels" in unused
    assert "broken.jpg: it cannot be read as a picture" in unused
    assert "notes.txt" not in unused
    assert photographs.spread(2) == [0, 2]
    assert photographs.spread(None) == photographs.spread(9) == [0, 1, 2]


def test_a_folder_without_photographs_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SscnError, match="there is no folder"):
        PhotographSet.open(tmp_path / "missing")
    with pytest.raises(SscnError, match="no usable colour photographs; name a folder"):
        PhotographSet.open(tmp_path)
    Image.new("RGB", (100, 100), (90, 90, 90)).save(tmp_path / "plain.png")
    with pytest.raises(SscnError, match=r"for instance plain.png: it has next to no colour"):
        PhotographSet.open(tmp_path)


def test_a_photograph_is_paired_in_every_way(photographs: PhotographSet, pairs: list[Pair]) -> None:
    assert len(pairs) == pair_count(photographs) == 8
    found = [(pair.kind, pair.variant) for pair in pairs]
    assert found == [
        ("halves", "first"),
        ("halves", "second"),
        ("warped", ""),
        ("luminance gap", "bright"),
        ("luminance gap", "dark"),
        ("luminance gap", "flat"),
        ("same kind", ""),
        ("unrelated", ""),
    ]
    whole = photographs.read(0)
    first, second = pairs[:2]
    assert np.array_equal(np.concatenate([first.truth, first.reference], axis=1), whole)
    assert np.array_equal(first.truth, second.reference)
    assert np.array_equal(second.truth, first.reference)
    others = {pair.kind: pair.reference_name for pair in pairs[-2:]}
    likeness = photographs.features[1:] @ photographs.features[0]
    expected = [photographs.names[1 + likeness.argmax()], photographs.names[1 + likeness.argmin()]]
    assert [others["same kind"], others["unrelated"]] == expected


def test_pairs_are_the_same_every_time(folder: Path, photographs: PhotographSet, pairs: list[Pair]) -> None:
    for one, other in zip(pairs, pairs_of_photograph(PhotographSet.open(folder), 0), strict=True):
        assert np.array_equal(one.truth, other.truth)
        assert np.array_equal(one.reference, other.reference)
    bent = pairs[2]
    assert bent.reference.shape == bent.truth.shape
    assert metrics.psnr(bent.reference, bent.truth) < 25  # out of shape
    assert metrics.histogram_intersection(metrics.to_lab(bent.reference), metrics.to_lab(bent.truth)) > 0.85


def test_another_light_changes_luminance_alone() -> None:
    field = np.full((64, 64, 3), (150, 120, 110), np.uint8)
    before = metrics.to_lab(field)[0, 0]
    darker, brighter = (metrics.to_lab(with_gamma(field, gamma))[0, 0] for gamma in (2, 0.5))
    assert darker[0] == pytest.approx(before[0] ** 2 / 100, abs=0.5)
    assert brighter[0] == pytest.approx(10 * before[0] ** 0.5, abs=0.5)
    for after in (darker, brighter):
        assert after[1:] == pytest.approx(before[1:], abs=1)
    two = np.concatenate([field, field // 2])
    luminance = metrics.to_lab(two)[[0, -1], 0, 0]
    flat = metrics.to_lab(with_contrast(two, 0.5))[[0, -1], 0, 0]
    assert flat.mean() == pytest.approx(luminance.mean(), abs=0.5)
    assert np.ptp(flat) == pytest.approx(np.ptp(luminance) / 2, abs=0.5)


def test_the_plain_warp_finds_colours_again(cat: Pixels, coffee: Pixels) -> None:
    warp = TrainingFreeWarp(load_efficientnet(), size=192)
    own = warp(cat)(cat)
    assert metrics.psnr(own, cat) > metrics.psnr(grey(cat), cat) + 8
    assert np.abs(colour.luminance(own) - colour.luminance(cat)).max() < 1.5
    assert metrics.psnr(warp(cat)(grey(cat)), own) > 40  # of the target only its luminance is looked at
    assert metrics.psnr(warp(coffee)(cat), cat) < metrics.psnr(own, cat)


def test_histogram_transfer_brings_the_reference_s_colours(coffee: Pixels) -> None:
    toned = histogram_transfer(coffee)(coffee)
    assert metrics.psnr(toned, coffee) > metrics.psnr(grey(coffee), coffee) + 3
    assert np.abs(colour.luminance(toned) - colour.luminance(coffee)).max() < 1.5
    assert metrics.psnr(histogram_transfer(coffee)(grey(coffee)), toned) > 40


def test_an_unrelated_reference_leaves_blotches_in_the_warp_not_in_a_tone(cat: Pixels, coffee: Pixels) -> None:
    found = {
        "warp": TrainingFreeWarp(load_efficientnet(), size=192)(coffee)(cat),
        "tone": histogram_transfer(coffee)(cat),
        "grey": grey(cat),
    }
    strayed = {name: blotches(metrics.to_lab(picture)) for name, picture in found.items()}
    assert strayed["grey"] < 0.05
    assert strayed["warp"] > 2 * strayed["tone"]


def test_frames_are_read_by_number() -> None:
    frames = film.read_frames("bikes", [7, 0, 8])
    assert sorted(frames) == [0, 7, 8]
    assert all(frame.shape[1:] == (film.WIDTH, 3) for frame in frames.values())
    assert metrics.psnr(frames[7], frames[8]) > metrics.psnr(frames[0], frames[8])
    with pytest.raises(SscnError, match=r"bikes.mp4 is too short: it has no frame 99999"):
        film.read_frames("bikes", [0, 99999])


def test_rows_are_chosen_by_name(tmp_path: Path) -> None:
    names = [method.name for method in make_methods(["sparse", "grey"], size=64)]
    assert names == ["grey", "sparse"]
    with pytest.raises(SscnError, match="no row called sepia; choose among grey, histogram, warp, sparse, dense"):
        make_methods(["grey", "sepia"])


def test_an_evaluation_measures_every_method_on_every_case(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "CLIPS", ("bikes",))
    monkeypatch.setattr(film, "RUN", tuple(range(20, 25)))
    two = tmp_path / "two"
    two.mkdir()
    for name in ("chelsea.png", "coffee.png"):
        shutil.copy(folder / name, two)
    totals: list[int] = []
    sheets, told = ContactSheets(["histogram"]), []

    evaluation = evaluate(
        make_methods(["grey", "histogram"]),
        PhotographSet.open(two),
        limit=1,
        begin=totals.append,
        finished=lambda case: (told.append(case), sheets.add(case)),
    )

    assert totals == [len(told)] == [8 + 7]  # two photographs: nothing can be unrelated
    means = {(mean.kind, mean.method): mean for mean in evaluation.means()}
    kinds = ["film", "halves", "warped", "same kind", "luminance gap"]
    assert list(means) == [(kind, method) for kind in kinds for method in ("truth", "grey", "histogram")]
    assert [means[kind, "grey"].pictures for kind in kinds] == [4, 2, 1, 1, 3]
    for (kind, method), mean in means.items():
        assert set(mean.figures) == set(METRICS)
        assert (mean.figures["psnr"] is None) == (method == "truth")
        assert (mean.figures["cdc"] is None) == (kind != "film")
    assert means["film", "grey"].figures["flicker"] == pytest.approx(0, abs=0.05)
    assert means["warped", "histogram"].figures["psnr"] > means["warped", "grey"].figures["psnr"]
    gap = [mean.variant for mean in evaluation.means(by_variant=True) if mean.kind == "luminance gap"]
    assert gap == [name for name in ("bright", "dark", "flat") for _ in range(3)]

    laid = sheets.sheets()
    assert {"film-01", "halves-01", "luminance-gap-01"} <= set(laid)
    assert laid["halves-01"].width == 4 * CELL
