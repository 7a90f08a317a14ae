"""Training pairs: what is left out, known places that line up, colours that both sides share, exact repetition."""

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from skimage import data as samples
from torch.nn import functional as F

from sscn import SscnError, colour
from sscn.training import damage
from sscn.training.jitter import ColourJitter, in_gamut
from sscn.training.kinds import SCENES, Material, Scene
from sscn.training.pairs import DEFAULT_MIX, KINDS, PairDataset, TrainingPair
from sscn.training.photographs import Photographs
from sscn.training.warps import crop, pixel_grid, sample_photograph, similarity, thin_plate, transform, undo

SIZE = 96


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photographs")
    for name in ("astronaut", "chelsea", "coffee"):
        picture = Image.fromarray(getattr(samples, name)())
        picture.thumbnail((320, 320))
        picture.save(root / f"{name}.jpg", quality=95)
    return root


@pytest.fixture(scope="module")
def photographs(folder: Path) -> Photographs:
    return Photographs(folder, long_side=256)


@pytest.fixture(scope="module")
def material(photographs: Photographs) -> Material:
    return Material(photographs[0], photographs[1], photographs[2], SIZE)


def warped(picture: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    return F.grid_sample(picture[None], place.permute(1, 2, 0)[None], align_corners=False)[0]


def test_unusable_files_are_left_out_with_the_reason(folder: Path, tmp_path: Path) -> None:
    inner = tmp_path / "of" / "summer"
    inner.mkdir(parents=True)
    picture = Image.open(folder / "coffee.jpg")
    picture.save(inner / "coffee.png")
    picture.convert("L").save(tmp_path / "grey.png")
    picture.resize((300, 90)).save(tmp_path / "small.webp")
    (tmp_path / "torn.jpg").write_bytes((folder / "coffee.jpg").read_bytes()[:3000])
    (tmp_path / "text.gif").write_text("not a picture")
    (tmp_path / "notes.txt").write_text("not a picture either")
    found = Photographs(tmp_path)
    assert [path.name for path in found.paths] == ["coffee.png"]
    assert {path.name: reason for path, reason in found.left_out.items()} == {
        "grey.png": "grey",
        "small.webp": "too small",
        "torn.jpg": "unreadable",
        "text.gif": "unreadable",
    }


def test_a_folder_without_photographs_is_one_clear_line(tmp_path: Path) -> None:
    Image.new("L", (200, 200), 90).save(tmp_path / "grey.png")
    with pytest.raises(SscnError, match=r"no usable colour photograph in this folder \(1 grey\)"):
        Photographs(tmp_path)
    with pytest.raises(SscnError, match="there is no such folder"):
        Photographs(tmp_path / "missing")


def test_memory_stays_within_its_limit(folder: Path) -> None:
    one = Photographs(folder, long_side=128)[0].nbytes
    held = Photographs(folder, long_side=128, cache_bytes=one + 10)
    first = held[0]
    assert held[0] is first
    held[1]
    assert held[0] is not first
    np.testing.assert_array_equal(held[0], first)


def test_a_photograph_that_vanishes_is_one_clear_line(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes((folder / "coffee.jpg").read_bytes())
    held = Photographs(tmp_path)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(SscnError, match=r"a\.jpg: can no longer be read"):
        held[0]


def test_the_spline_passes_through_its_points() -> None:
    shifts = np.random.default_rng(0).normal(0, 0.1, (5, 5, 2))
    bent = thin_plate(shifts, 129)
    at_points = bent[:, ::32, ::32].permute(1, 2, 0).numpy()
    np.testing.assert_allclose(at_points, shifts, atol=1e-3)


def test_an_affine_displacement_bends_nothing() -> None:
    line = np.linspace(-1, 1, 4)
    x, y = np.meshgrid(line, line)
    bent = thin_plate(np.stack([0.1 * x - 0.05 * y, 0.2 * y], axis=2), 65)
    x, y = np.meshgrid(np.linspace(-1, 1, 65), np.linspace(-1, 1, 65))
    np.testing.assert_allclose(bent.numpy(), np.stack([0.1 * x - 0.05 * y, 0.2 * y]), atol=1e-4)


def test_undo_finds_where_a_bent_point_came_from() -> None:
    displacement = thin_plate(np.random.default_rng(1).normal(0, 0.05, (5, 5, 2)), SIZE)
    wanted = transform(similarity(0.7, 10), pixel_grid(SIZE))
    places, found = undo(displacement, wanted)
    assert found.float().mean() > 0.95
    back = places + warped(displacement, places)
    assert (back - wanted).abs()[:, found[0]].max() < 1.5 / SIZE


def test_a_sampled_crop_is_the_crop(photographs: Photographs) -> None:
    photograph = photographs[0]
    height, width = photograph.shape[:2]
    points = transform(crop(height, width, SIZE, (0.5, 0.5)), pixel_grid(SIZE))
    top, left = (height - SIZE) // 2, (width - SIZE) // 2
    cut = colour.to_linear(photograph[top : top + SIZE, left : left + SIZE])
    assert (height - SIZE) % 2 == (width - SIZE) % 2 == 0
    torch.testing.assert_close(sample_photograph(photograph, points), cut, atol=1e-3, rtol=0)


def test_a_photograph_smaller_than_the_crop_is_enlarged(photographs: Photographs) -> None:
    tiny = photographs[1][::3, ::3]
    pair = SCENES["thin_plate"](Material(tiny, tiny, tiny, 256), np.random.default_rng(2))
    assert pair.target.shape == pair.reference.shape == (3, 256, 256)
    assert pair.target.std() > 0.01


def scenes(kind: str, material: Material, count: int = 12) -> list[Scene]:
    return [SCENES[kind](material, np.random.default_rng([7, number])) for number in range(count)]


@pytest.mark.parametrize("kind", ["thin_plate", "elsewhere", "motion"])
def test_the_reference_brought_to_its_places_is_the_target(kind: str, material: Material) -> None:
    shares = []
    for scene in scenes(kind, material):
        visible = scene.visible[0]
        shares.append(float(visible.float().mean()))
        if shares[-1] < 0.02:
            continue
        ours, target = (colour.linear_to_lab(x)[0] for x in (warped(scene.reference, scene.place), scene.target))
        moved = colour.linear_to_lab(scene.target.roll((3, 3), (1, 2)))[0]
        error = (ours - target).abs()[visible].mean()
        # resampling costs some sharpness; three pixels aside costs far more
        assert error < 3.5
        assert error < 0.6 * (ours - moved).abs()[visible].mean()
    assert np.mean(shares) > (0.15 if kind == "elsewhere" else 0.3)
    assert min(shares) < 1


@pytest.mark.parametrize("upright", [False, True])
def test_some_crops_elsewhere_are_of_different_halves(material: Material, upright: bool) -> None:
    """A picture red to one side and blue to the other."""
    halves = np.zeros((200, 400, 3), np.uint8)
    halves[:, :200], halves[:, 200:] = (200, 0, 0), (0, 0, 200)
    picture = np.ascontiguousarray(halves.transpose(1, 0, 2)) if upright else halves
    found = scenes("elsewhere", dataclasses.replace(material, photograph=picture), 40)
    apart = 0
    for scene in found:
        plain = all(bool((side - side[:, :1, :1]).abs().max() < 1e-3) for side in (scene.target, scene.reference))
        if plain and not torch.allclose(scene.target, scene.reference, atol=0.1):
            apart += 1
            assert not scene.visible.any()
    assert 10 < apart < 32


def test_newcomers_are_in_the_target_alone(material: Material) -> None:
    """Black ground, white things that pass by."""
    black, white = (np.full((200, 200, 3), value, np.uint8) for value in (0, 255))
    found = scenes("motion", dataclasses.replace(material, photograph=black, other=white), 40)
    with_both = sum(bool(scene.target.any()) and bool(scene.reference.any()) for scene in found)
    newcomers = [scene for scene in found if scene.target.any() and not scene.reference.any()]
    assert len(newcomers) >= 4
    assert with_both >= 6
    for scene in newcomers:
        assert not (scene.visible & (scene.target[:1] > 0.5)).any()


def test_what_the_passer_by_hides_is_not_visible(photographs: Photographs) -> None:
    ground = np.zeros((240, 240, 3), np.uint8)
    ground[:] = (200, 60, 60)
    passer_by = np.zeros_like(ground)
    passer_by[:] = (40, 60, 210)
    seen_hidden = 0
    for number in range(20):
        scene = SCENES["motion"](Material(ground, passer_by, ground, SIZE), np.random.default_rng([3, number]))
        error = (warped(scene.reference, scene.place) - scene.target).abs().amax(dim=0)
        assert error[scene.visible[0]].numel() == 0 or error[scene.visible[0]].max() < 0.06
        seen_hidden += int((error[~scene.visible[0]] > 0.3).any())
    assert seen_hidden >= 5


@pytest.mark.parametrize("kind", ["neighbour", "unrelated"])
def test_kinds_without_places_show_nothing(kind: str, material: Material) -> None:
    assert not any(bool(scene.visible.any()) for scene in scenes(kind, material, 4))


def test_a_pair_depends_on_seed_and_index_alone(folder: Path, photographs: Photographs) -> None:
    ours = PairDataset(photographs, seed=5, size=64)
    again = PairDataset(Photographs(folder, long_side=256, cache_bytes=0), seed=5, size=64)
    other = PairDataset(photographs, seed=6, size=64)
    for index in (11, 3, 7):
        pair = ours[index]
        assert all(torch.equal(a, b) for a, b in zip(pair, again[index], strict=True))
        assert not torch.equal(pair.truth, other[index].truth)
    assert not torch.equal(ours[11].truth, ours[3].truth)


def test_worker_processes_give_the_same_pairs(photographs: Photographs) -> None:
    pairs = PairDataset(photographs, seed=5, size=64, length=4)
    loaded = list(torch.utils.data.DataLoader(pairs, batch_size=2, num_workers=1))
    assert len(loaded) == 2
    second = TrainingPair(*[field[1] for field in loaded[1]])
    assert all(torch.equal(a, b) for a, b in zip(second, pairs[3], strict=True))


def test_shapes_ranges_and_kinds(photographs: Photographs) -> None:
    pairs = PairDataset(photographs, seed=1, size=64, length=24)
    for pair in (pairs[index] for index in range(len(pairs))):
        assert [tuple(field.shape) for field in pair] == [
            (1, 64, 64), (2, 64, 64), (1, 64, 64), (3, 64, 64), (2, 64, 64), (1, 64, 64), (), (),
        ]  # fmt: skip
        assert all(field.dtype == torch.float32 for field in pair[:-1])
        assert pair.kind.dtype == torch.int64
        for light in (pair.luminance, pair.clean_luminance, pair.reference[:1]):
            assert light.min() >= 0
            assert light.max() <= 100
        assert all(bool(torch.isfinite(field).all()) for field in pair)
        assert bool(((pair.visible == 0) | (pair.visible == 1)).all())
        assert pair.related == (KINDS[int(pair.kind)] != "unrelated")
    with pytest.raises(IndexError):
        pairs[24]


def test_the_mix_is_kept(photographs: Photographs) -> None:
    pairs = PairDataset(photographs, seed=2, size=16, length=200)
    counts = Counter(KINDS[int(pairs[index].kind)] for index in range(len(pairs)))
    for kind, share in DEFAULT_MIX.items():
        assert counts[kind] / len(pairs) == pytest.approx(share, abs=0.09)
    only = PairDataset(photographs, seed=2, size=16, length=10, mix={"motion": 3})
    assert all(KINDS[int(only[index].kind)] == "motion" for index in range(len(only)))


def test_a_wrong_mix_is_one_clear_line(photographs: Photographs) -> None:
    with pytest.raises(SscnError, match="sideways"):
        PairDataset(photographs, seed=0, mix={"sideways": 1})
    with pytest.raises(SscnError, match="2 neighbours were given for 3"):
        PairDataset(photographs, seed=0, neighbours=[0, 1])


def test_a_given_neighbour_is_the_reference(tmp_path: Path) -> None:
    paints = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]
    for number, paint in enumerate(paints):
        Image.new("RGB", (120, 120), paint).save(tmp_path / f"{number}.png")
    pairs = PairDataset(Photographs(tmp_path), seed=4, size=16, length=30, mix={"neighbour": 1}, neighbours=[1, 2, 0])
    lights = [float(colour.lab(np.full((1, 1, 3), p, np.uint8))[0]) for p in paints]
    followers = set()
    for pair in (pairs[index] for index in range(len(pairs))):
        own = int(np.argmin([abs(light - float(pair.clean_luminance.mean())) for light in lights]))
        if abs(float(pair.reference[0].mean()) - lights[(own + 1) % 3]) < 0.5:
            followers.add(own)
    assert followers == {0, 1, 2}


def test_both_sides_get_the_same_colours(photographs: Photographs) -> None:
    """Flat ground: whatever the jitter, target and reference show one chroma unless exposure moved the reference."""
    held = Photographs.__new__(Photographs)
    held.__dict__.update(photographs.__dict__)
    held._cache.clear()
    flat: NDArray[np.uint8] = np.full((200, 200, 3), (150, 120, 100), np.uint8)
    for number in range(len(held)):
        held._keep(number, flat)
    pairs = PairDataset(held, seed=8, size=16, length=30, mix={"elsewhere": 1})
    chromas = []
    for pair in (pairs[index] for index in range(len(pairs))):
        ours, theirs = pair.truth.mean(dim=(1, 2)), pair.reference[1:].mean(dim=(1, 2))
        torch.testing.assert_close(ours, theirs, atol=0.3, rtol=0)
        chromas.append(tuple(ours.round().tolist()))
    held._cache.clear()
    assert len(set(chromas)) > 15


def test_jitter_turns_and_scales_and_keeps_luminance(photographs: Photographs) -> None:
    lab = colour.lab(photographs[0])
    turned = ColourJitter(degrees=90, chroma=0.5)(lab)
    torch.testing.assert_close(turned[0], lab[0])
    torch.testing.assert_close(turned[1], -0.5 * lab[2], atol=1e-4, rtol=0)
    torch.testing.assert_close(turned[2], 0.5 * lab[1], atol=1e-4, rtol=0)


def test_colours_are_brought_into_the_gamut_and_others_left_alone(photographs: Photographs) -> None:
    lab = colour.lab(photographs[0])
    torch.testing.assert_close(in_gamut(lab), lab, atol=0.2, rtol=0)
    wild = torch.cat([lab[:1], lab[1:] * 4])
    fitted = in_gamut(wild)
    y = colour.inverse_lab_function((fitted[:1] + 16) / 116)
    shown = colour.linear_to_lab(colour.colour_with_luminance(y, fitted[1:]))
    assert (wild[1:] - fitted[1:]).abs().max() > 50
    assert (shown[1:] - fitted[1:]).abs().mean() < 0.02  # nothing is left to reduce but rounding in the shadows
    assert torch.equal(fitted[0], lab[0])


DAMAGES = [
    damage.gamma,
    damage.uneven_light,
    damage.blur,
    damage.fading,
    damage.grain,
    damage.scratches,
    damage.halftone,
    damage.jpeg,
]


@pytest.mark.parametrize("part", DAMAGES, ids=lambda part: part.__name__)
def test_each_damage_changes_the_picture_and_leaves_it_recognisable(part, photographs: Photographs) -> None:  # type: ignore[no-untyped-def]
    luminance = colour.lab(photographs[0])[:1, :SIZE, :SIZE].contiguous()
    before = luminance.clone()
    hurt = part(luminance, np.random.default_rng(3))
    assert hurt.shape == luminance.shape
    assert hurt.dtype == torch.float32
    assert torch.equal(luminance, before)
    assert not torch.equal(hurt, luminance)
    assert np.corrcoef(hurt.numpy().ravel(), luminance.numpy().ravel())[0, 1] > 0.5


def test_some_targets_are_damaged_and_truth_is_not(photographs: Photographs) -> None:
    pairs = PairDataset(photographs, seed=9, size=32, length=40)
    hurt = [not torch.equal(pair.luminance, pair.clean_luminance) for pair in (pairs[n] for n in range(len(pairs)))]
    assert 10 < sum(hurt) < 34
