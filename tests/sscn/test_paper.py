"""Preset `paper`: its size, its shapes, its answers, and that it learns."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from sscn import SscnError, colour
from sscn.layers import AdaIN
from sscn.paper import PaperReference, PaperSSCN
from sscn.paper.chroma import ab_bins
from sscn.paper.losses import PaperLosses, paper_losses

REFERENCES = Path(__file__).parents[2] / "flows" / "demo" / "references"


@pytest.fixture(scope="module")
def network() -> PaperSSCN:
    torch.manual_seed(0)
    return PaperSSCN().eval()


def _photograph(name: str, size: tuple[int, int], box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> Tensor:
    """Lab (1, 3, H, W) of a part (of width and height) of a bundled photograph."""
    with Image.open(REFERENCES / f"{name}.jpg") as opened:
        left, top, right, bottom = (
            round(part * side) for part, side in zip(box, (opened.width, opened.height) * 2, strict=True)
        )
        part = opened.convert("RGB").crop((left, top, right, bottom)).resize(size[::-1], Image.Resampling.LANCZOS)
    return colour.lab(part)[None]


def test_the_network_has_the_published_number_of_parameters(network):
    assert 53.0e6 < sum(parameter.numel() for parameter in network.parameters()) < 54.0e6


@pytest.mark.parametrize("size", [(64, 64), (200, 264), (75, 130)])
def test_any_size_from_64_fits(network, size):
    target, reference = _photograph("cat-chelsea", size), _photograph("forest-stream", (100, 65))
    with torch.inference_mode():
        encoded = network.encode_reference(reference)
        predicted = network(target[:, :1], encoded)
    assert encoded.keys.shape == (1, min(512, 25 * 17), 960)
    assert encoded.values.shape == (1, 425, 512)
    assert predicted.ab.shape == predicted.coarse_ab.shape == (1, 2, *size)
    assert predicted.bin_logits.shape == (1, 529, -(-size[0] // 4), -(-size[1] // 4))
    assert predicted.confidence.shape == (1, 1, *size)
    assert predicted.confidence.min() >= 0
    assert predicted.confidence.max() <= 1
    assert predicted.ab.isfinite().all()
    assert predicted.ab.abs().max() <= 110


def test_films_get_it_at_half_the_size(network):
    target, reference = _photograph("cat-chelsea", (75, 130)), _photograph("forest-stream", (100, 65))
    with torch.inference_mode():
        encoded = network.encode_reference(reference)
        predicted = network.at_half_size(target[:, :1], encoded)
        whole = network(target[:, :1], encoded)
    assert predicted.ab.shape == (1, 2, 38, 65)
    assert predicted.confidence.shape == (1, 1, 38, 65)
    inner = whole.ab[:, :, 2:-2, 2:-2]
    assert predicted.ab.min() >= whole.ab.min()
    assert predicted.ab.max() <= whole.ab.max()
    assert (predicted.ab.mean() - inner.mean()).abs() < 0.1 * (whole.ab.max() - whole.ab.min())


@pytest.mark.slow
@pytest.mark.parametrize("size", [256, 512])
def test_the_published_sizes(network, size):
    lab = _photograph("coffee-cup", (size, size))
    with torch.inference_mode():
        encoded = network.encode_reference(lab)
        predicted = network(lab[:, :1], encoded)
    assert encoded.keys.shape == (1, 512, 960)
    assert predicted.ab.shape == (1, 2, size, size)
    assert predicted.bin_logits.shape == (1, 529, size // 4, size // 4)


def test_too_small_a_picture_is_refused(network):
    encoded = network.encode_reference(torch.zeros(1, 3, 64, 64))
    with pytest.raises(SscnError, match="64 or more"):
        network(torch.zeros(1, 1, 63, 80), encoded)
    with pytest.raises(SscnError, match="64 or more"):
        network.encode_reference(torch.zeros(1, 3, 80, 63))


def test_the_same_pictures_give_the_same_answer(network):
    target, reference = _photograph("cat-chelsea", (96, 96)), _photograph("dogs-at-window", (128, 160))
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.inference_mode():
            answers.append(network(target[:, :1], network.encode_reference(reference)))
    assert all(torch.equal(first, second) for first, second in zip(*answers, strict=True))


def test_a_batch_gives_what_its_pictures_give_alone(network):
    targets = torch.cat([_photograph(name, (64, 72)) for name in ("cat-chelsea", "coffee-cup")])
    references = torch.cat([_photograph(name, (104, 96)) for name in ("forest-stream", "paint-brushes")])
    with torch.inference_mode():
        together = network(targets[:, :1], network.encode_reference(references))
        for number in range(2):
            own = network.encode_reference(references[number : number + 1])
            alone = network(targets[number : number + 1, :1], own)
            assert torch.allclose(together.ab[number], alone.ab[0], atol=0.05)
        shared = network(targets[:, :1], own)
        assert torch.allclose(shared.ab[1], alone.ab[0], atol=0.05), "one reference serves many targets"
        three = network.encode_reference(references[[0, 1, 0]])
        with pytest.raises(SscnError, match="2 targets"):
            network(targets[:, :1], three)


def test_the_reference_decides_the_colour(network):
    """Before any training attention already carries the reference over: another reference, another answer."""
    target = _photograph("cat-chelsea", (64, 64))
    with torch.inference_mode():
        first, second = (
            network(target[:, :1], network.encode_reference(_photograph(name, (64, 64))))
            for name in ("forest-stream", "wine-and-drum-interior")
        )
    assert (first.ab - second.ab).abs().mean() > 1


def test_sparse_attention_with_all_keys_is_dense_attention(network, monkeypatch):
    """On a grid of no more positions than keys both must agree; on a larger one they must not."""
    target = _photograph("cat-chelsea", (64, 64))
    for side, same in ((64, True), (128, False)):
        reference = _photograph("forest-stream", (side, side))
        with torch.inference_mode(), monkeypatch.context() as patch:
            sparse_ab = network(target[:, :1], network.encode_reference(reference)).ab
            patch.setattr(network, "attention", "dense")
            encoded = network.encode_reference(reference)
            dense_ab = network(target[:, :1], encoded).ab
        assert encoded.keys.shape[1] == (side // 4) ** 2
        assert torch.allclose(sparse_ab, dense_ab, atol=0.01) == same


def test_attention_brings_the_colour_of_the_matching_place(network):
    """Queries that are keys themselves find their own colour, and are sure of it."""
    features = torch.randn(1, 960, 6, 5, generator=torch.Generator().manual_seed(0))
    tokens = features.flatten(2).transpose(1, 2)
    ab = torch.arange(60.0).reshape(1, 30, 2)
    colours = torch.cat([ab, ab.square().sum(2, keepdim=True)], dim=2)
    found = network.match(features, F.normalize(tokens, dim=2), network.match.values(tokens), colours)
    assert torch.allclose(found.chroma, ab.transpose(1, 2).reshape(1, 2, 6, 5), atol=1e-2)
    assert found.spread.max() < 0.5
    assert torch.allclose(found.features, network.match.value(features), atol=1e-3), "on all tokens: a 1x1 convolution"


def test_bins_are_ten_units_wide_and_end_at_the_edges():
    ab = torch.tensor([[-110.0, -110.0], [-106.0, -104.0], [0.0, 4.9], [0.0, 5.1], [300.0, 300.0]])
    assert ab_bins(ab.T[None, :, :, None])[0, :, 0].tolist() == [0, 1, 11 * 23 + 11, 11 * 23 + 12, 528]


def test_the_loss_weighs_its_terms_as_published():
    one, two, three, four, five = (torch.tensor(float(value)) for value in (1, 2, 3, 4, 5))
    assert float(PaperLosses(one, two, three, four, None).total) == 100 + 200 + 30 + 4
    assert float(PaperLosses(one, two, three, four, five).total) == pytest.approx(334.5)


def test_gradients_reach_every_parameter():
    """Style learns from the second step on: AdaIN starts deaf to it. The classifier needs labels."""
    torch.manual_seed(0)
    network = PaperSSCN()
    for adain in (module for module in network.modules() if isinstance(module, AdaIN)):
        torch.nn.init.normal_(adain.gamma.weight, std=0.1)
    lab = _photograph("cat-chelsea", (64, 64))
    _loss(network, lab, lab.flip(3)).total.backward()
    without = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert without == ["colour.classifier.weight", "colour.classifier.bias"]
    _loss(network, lab, lab.flip(3), torch.tensor([281])).total.backward()
    assert network.colour.classifier.weight.grad is not None
    assert network.colour.classifier.weight.grad.any()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_it_learns_sixteen_pairs_by_heart():
    """Training reaches every part: the whole published loss falls tenfold (some 12 minutes on one thread)."""
    torch.manual_seed(0)
    targets, references = _sixteen_pairs()
    network = PaperSSCN().to(memory_format=torch.channels_last)
    steps = 240
    head = list(network.fusion.to_bins.parameters())
    rest = [parameter for name, parameter in network.named_parameters() if not name.startswith("fusion.to_bins")]
    groups = [{"params": rest, "lr": 3e-4}, {"params": head, "lr": 1e-3}]  # logits need large weights, and soon
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.98), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 8, 1 - step / steps))
    with torch.no_grad():
        before = _loss(network, targets, references)
    for _ in range(steps // 4):
        for batch in torch.randperm(16).split(4):
            optimizer.zero_grad()
            _loss(network, targets[batch], references[batch]).total.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        after = _loss(network, targets, references)
    print(f"before: {before}\nafter: {after}\nfall: {float(before.total / after.total):.1f}")
    assert after.total < before.total / 10


def _sixteen_pairs() -> tuple[Tensor, Tensor]:
    """Parts of real photographs (16, 3, 64, 64), and the same warped smoothly, every other one mirrored."""
    middle, corner = (0.375, 0.375, 0.625, 0.625), (0.1, 0.1, 0.35, 0.35)
    names = sorted(path.stem for path in REFERENCES.glob("*.jpg"))
    places = [(name, middle) for name in names] + [(name, corner) for name in names]
    targets = torch.cat([_photograph(name, (64, 64), box) for name, box in places[:16]])
    offsets = F.interpolate(0.15 * torch.randn(16, 2, 4, 4), (64, 64), mode="bicubic").permute(0, 2, 3, 1)
    still = F.affine_grid(torch.eye(2, 3).expand(16, 2, 3), [16, 3, 64, 64], align_corners=False)
    references = F.grid_sample(targets, still + offsets, padding_mode="reflection", align_corners=False)
    references[::2] = references[::2].flip(3)
    return targets, references


def _loss(network: PaperSSCN, target: Tensor, reference: Tensor, labels: Tensor | None = None) -> PaperLosses:
    encoded: PaperReference = network.encode_reference(reference)
    return paper_losses(network(target[:, :1], encoded), encoded, target[:, 1:], labels)
