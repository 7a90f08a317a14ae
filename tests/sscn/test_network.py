"""The network: what an untrained one says, the paper's keys, weights that fit or are refused."""

import pytest
import torch
from safetensors.torch import save_file

from sscn import Colorizer, SscnError, colour
from sscn.alignment import align
from sscn.efficientnet import load_efficientnet
from sscn.fusion import Candidates
from sscn.highlights import pale_highlights
from sscn.image_transfer import chroma_unit
from sscn.local_detail import LocalMatch, fine_values, grid_places
from sscn.matching import resize
from sscn.network import SSCN
from sscn.presets import DEFAULT
from sscn.pretrained import load_network
from sscn.weights import learned_state


def _lab(picture) -> torch.Tensor:
    return colour.lab(picture)[None]


@pytest.fixture(scope="module")
def untrained() -> SSCN:
    torch.manual_seed(0)
    return SSCN(DEFAULT, "dense", load_efficientnet()).eval()


@torch.inference_mode()
def test_what_is_learned_starts_as_no_correction(untrained: SSCN, coffee):
    """Before training the answer is the explicit transfer, and the confidence the fitted one."""
    lab = _lab(coffee)
    reference = untrained.encode_reference(lab)
    features = untrained.extract(lab[:, :1])
    match, aligned = untrained.transfer(features, lab[:, :1], reference)
    semantic = untrained.global_style.match(features.coarse, reference.coarse)
    light = torch.nn.functional.adaptive_avg_pool2d(lab[:, :1], features.fine.shape[-2:])
    look = reference.coarse.style
    plain = untrained.global_style(semantic, features, light, look)
    other = untrained.global_style(semantic, features, light, look._replace(code=torch.randn_like(look.code)))
    assert torch.equal(plain, other)
    fused = untrained.fuse(features, lab[:, :1], match, aligned, semantic, plain, look.unit)
    from sscn.confidence import MatchStatistics, match_confidence

    best = torch.nn.functional.interpolate(semantic.best, light.shape[-2:], mode="bilinear", align_corners=False)
    confidence = match_confidence(MatchStatistics(match.ab, plain, match.spread, match.best, best))
    doubt = DEFAULT.highlight_softness * (1 - confidence)
    pale = pale_highlights(match.ab, light, match.luminance, doubt)
    assert torch.allclose(fused.coarse_ab, untrained.calm(pale, plain, confidence, light / 100))
    assert torch.allclose(fused.confidence, confidence, atol=2e-4)


def test_the_unit_of_chroma_is_the_references_own(coffee):
    lab = _lab(coffee)
    twice = torch.cat([lab[:, :1], 2 * lab[:, 1:]], dim=1)
    assert torch.allclose(chroma_unit(twice), 2 * chroma_unit(lab))
    grey = torch.full((1, 3, 64, 64), 0.0)
    assert chroma_unit(grey).item() == 10
    grey[:, 1, :8, :8] = 60  # a small bright thing on grey ground
    assert chroma_unit(grey).item() > 30


@torch.inference_mode()
def test_twice_the_chroma_in_is_twice_the_chroma_out(coffee):
    """Whatever the decoder has learned, also where it adds colour of its own; likewise the style code."""
    torch.manual_seed(1)
    network = SSCN(DEFAULT, "dense", load_efficientnet()).eval()
    for layer in (network.decode.answer, network.decode.half_answer):
        torch.nn.init.normal_(layer.weight, std=0.05)
    lab = _lab(coffee)
    luminance = lab[:, :1]
    features = network.extract(luminance)
    reference = network.encode_reference(lab.flip(3))
    match, aligned = network.transfer(features, luminance, reference)
    one = torch.ones_like(match.best)
    given = Candidates(match.ab, 0.5 * match.ab, one, match, aligned, 0.5 * one, reference.coarse.style.unit)
    doubled = Candidates(
        calm=2 * given.calm,
        style=2 * given.style,
        style_best=given.style_best,
        match=match._replace(ab=2 * match.ab, spread=2 * match.spread),
        aligned=aligned._replace(lab=torch.cat([aligned.lab[:, :1], 2 * aligned.lab[:, 1:]], dim=1)),
        confidence=given.confidence,
        unit=2 * given.unit,
    )
    ours, twice = (network.decode(candidates, features, luminance) for candidates in (given, doubled))
    assert (ours.ab - resize(given.calm, ours.ab.shape[-2:])).abs().mean() > 1
    assert torch.allclose(twice.ab, 2 * ours.ab, atol=1e-2)
    strong = torch.cat([lab[:, :1], 2 * lab[:, 1:]], dim=1)
    codes = [network.global_style.encode(features, picture).code for picture in (lab, strong)]
    assert torch.allclose(*codes, atol=1e-5)


def test_alignment_follows_a_shift():
    """Where the match says "four cells to the right", the aligned picture is the reference moved by that."""
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 64, 64) * 50
    moved = torch.roll(picture, -16, dims=3)
    place = grid_places(32, 32, picture.device) + torch.tensor([16 * 2 / 64, 0.0]).view(1, 2, 1, 1)
    plain = torch.zeros(1, 1, 32, 32)
    match = LocalMatch(torch.zeros(1, 2, 32, 32), plain, plain, plain, place, plain)
    aligned = align(match, picture, moved[:, :1])
    assert torch.allclose(aligned.lab[..., :44], moved[..., :44], atol=1e-3)
    assert aligned.misfit[..., :40].max() < 0.01
    assert aligned.misfit[..., 50:].mean() > 1  # what has come in from outside


def _match_at(shift: torch.Tensor) -> LocalMatch:
    """A match sure that each cell of 32 x 32 lies ``shift`` (1, 2, 32, 32), in -1..1, away."""
    plain = torch.zeros(1, 1, 32, 32)
    place = grid_places(32, 32, shift.device) + shift
    return LocalMatch(torch.zeros(1, 2, 32, 32), plain, plain, plain, place, plain)


def test_alignment_mends_a_match_that_is_off_by_a_pixel():
    torch.manual_seed(0)
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 66, 66) * 100, 3, stride=1)
    wrong = torch.zeros(1, 2, 32, 32)
    wrong[:, 0] = 2 / 64
    aligned = align(_match_at(wrong), picture, picture[:, :1])
    inner = (..., slice(4, 60), slice(4, 60))
    assert (aligned.lab - picture)[inner].abs().mean() < 0.1
    assert (torch.roll(picture, -1, dims=3) - picture)[inner].abs().mean() > 5


def test_alignment_keeps_the_border_of_things_that_move_apart():
    """Left half stands still, right half has moved by eight pixels: a blend of both shifts would tear the border."""
    torch.manual_seed(0)
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 66, 66) * 100, 3, stride=1)
    target = torch.cat([picture[..., :32], torch.roll(picture, 8, dims=3)[..., 32:]], dim=3)
    shift = torch.zeros(1, 2, 32, 32)
    shift[:, 0, :, 16:] = -8 * 2 / 64
    aligned = align(_match_at(shift), picture, target[:, :1])
    beside_border = (..., slice(26, 38))
    assert (aligned.lab - target)[beside_border].abs().mean() < 1


def test_alignment_bears_another_exposure():
    """Ten units of L* brighter, and a match that is off by a pixel."""
    torch.manual_seed(0)
    picture = torch.nn.functional.avg_pool2d(torch.rand(1, 3, 66, 66) * 60, 3, stride=1) + 20
    wrong = torch.zeros(1, 2, 32, 32)
    wrong[:, 0] = 2 / 64
    aligned = align(_match_at(wrong), picture, picture[:, :1] + 10)
    off_by_one = torch.roll(picture, -1, dims=3)
    left, before = ((lab - picture)[..., 4:60, 4:60].abs().mean() for lab in (aligned.lab, off_by_one))
    assert left < before / 2


def test_values_know_their_place():
    values = fine_values(torch.rand(2, 3, 4, 6))
    assert values.shape == (2, 7, 4, 6)
    assert torch.allclose(values[0, 4, 0], (torch.arange(6) + 0.5) / 3 - 1)
    assert torch.allclose(values[:, 6], values[:, 4] ** 2 + values[:, 5] ** 2)


def test_the_papers_keys_are_512_and_do_worse_than_routed_ones(cat):
    """The picture as its own reference, where every place has its match."""
    grey, errors = _lab(cat)[:, :1], {}
    for keys in ("routed", "cam"):
        network, _ = load_network(keys=keys)
        with torch.inference_mode():
            reference = network.encode_reference(_lab(cat))
            errors[keys] = (network(grey, reference).ab - _lab(cat)[:, 1:]).norm(dim=1).mean()
        if keys == "cam":
            assert reference.fine.clusters is None
            assert len(reference.fine.keys) == 512
    assert errors["routed"] < errors["cam"]


def test_keys_are_part_of_the_parameters_and_unknown_ones_are_refused():
    assert Colorizer.from_pretrained(keys="cam").parameters["keys"] == "cam"
    with pytest.raises(SscnError, match="magic"):
        Colorizer.from_pretrained(keys="magic")  # type: ignore[arg-type]


def test_own_weights_are_used_or_refused_by_name(tmp_path, cat):
    network, shipped = load_network()
    state = {name: value.half() for name, value in learned_state(network).items()}
    state["decode.answer.bias"] = state["decode.answer.bias"] + 1
    save_file(state, tmp_path / "own.safetensors")
    own = Colorizer.from_pretrained(weights=tmp_path / "own.safetensors", size=96)
    assert own.weights_sha256 != shipped
    plain = Colorizer.from_pretrained(size=96)
    assert plain.weights_sha256 == shipped
    one, two = (c.colorize(cat, c.encode_reference(cat)).rgb for c in (own, plain))
    assert (one != two).any()
    state.pop("decode.answer.bias")
    save_file(state, tmp_path / "short.safetensors")
    with pytest.raises(SscnError, match=r"short\.safetensors"):
        load_network(weights=tmp_path / "short.safetensors")
    with pytest.raises(SscnError, match="absent"):
        load_network(weights=tmp_path / "absent.safetensors")


def test_weights_hold_nothing_of_the_encoder():
    network, _ = load_network()
    names = set(learned_state(network))
    assert names
    assert not any("encoder" in name for name in names)
    assert all(not p.requires_grad for p in network.extract.encoder.parameters())
