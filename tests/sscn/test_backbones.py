"""The shipped encoders: right classes, real edges, strict loading."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from skimage import data as samples

from sscn import SscnError, colour
from sscn.efficientnet import load_efficientnet
from sscn.vgg import STAGES, VGG16, load_vgg
from sscn.weights import WEIGHTS_SHA256, load_strictly, read_shipped, weights_sha256
from tests.sscn.conftest import small

CAT_CLASSES = {281, 282, 285}
"""ImageNet: tabby, tiger cat, Egyptian cat."""
CUP_CLASSES = {504, 967, 968, 969}
"""ImageNet: coffee mug, espresso, cup, eggnog."""


def _luminance(image) -> torch.Tensor:
    return torch.from_numpy(colour.luminance(small(image, 224)))[None, None]


@pytest.mark.parametrize(("image", "classes"), [(samples.chelsea(), CAT_CLASSES), (samples.coffee(), CUP_CLASSES)])
def test_efficientnet_knows_what_it_sees_from_luminance_alone(image, classes):
    assert int(load_efficientnet().classify(_luminance(image)).argmax()) in classes


def test_efficientnet_block_sizes_are_rounded_up():
    maps = load_efficientnet().features(torch.rand(1, 1, 75, 50) * 100, (0, 2, 4, 10, 15))
    assert {number: tuple(map_.shape[1:]) for number, map_ in maps.items()} == {
        0: (16, 38, 25),
        2: (24, 19, 13),
        4: (40, 10, 7),
        10: (112, 5, 4),
        15: (320, 3, 2),
    }


def test_edges_are_where_the_outline_is():
    picture = np.full((96, 96), 60, np.uint8)
    picture[24:72, 24:72] = 200
    edges = load_vgg().edges(torch.from_numpy(colour.luminance(picture))[None, None])[0, 0]
    outline = torch.zeros(96, 96, dtype=torch.bool)
    outline[21:75, 21:75] = True
    outline[28:68, 28:68] = False
    assert edges[outline].mean() > 5 * edges[~outline].mean()


def test_torchvision_state_dict_loads_and_computes_the_same(tmp_path):
    """The shipped convolutions, renamed as torchvision names them, must give features of the same shape; its own
    normalisation differs, so a copy of the shipped network with that normalisation is the yardstick."""
    shipped = load_vgg()
    names = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    state = {"classifier.0.weight": torch.zeros(2, 2)}
    for index, conv in zip(names, shipped.convs.values(), strict=True):
        state |= {f"features.{index}.weight": conv.weight.clone(), f"features.{index}.bias": conv.bias.clone()}
    safe, pickled = tmp_path / "vgg.safetensors", tmp_path / "vgg.pth"
    save_file(state, safe)
    torch.save(state, pickled)
    luminance = torch.rand(1, 1, 40, 56) * 100
    shipped.input_mean.copy_(torch.tensor([0.485, 0.456, 0.406]) * 255)
    shipped.input_std.copy_(torch.tensor([0.229, 0.224, 0.225]) * 255)
    wanted = shipped.features(luminance, ["relu4_3"])["relu4_3"]
    for path in (safe, pickled):
        assert torch.allclose(load_vgg(path).features(luminance, ["relu4_3"])["relu4_3"], wanted, rtol=1e-4, atol=1e-3)
    with pytest.raises(SscnError, match="edge layers"):
        load_vgg(safe).edges(luminance)


def test_foreign_weights_are_refused(tmp_path):
    wrong = tmp_path / "other.safetensors"
    save_file({"features.0.weight": torch.zeros(64, 3, 3, 3), "surprise": torch.zeros(1)}, wrong)
    with pytest.raises(SscnError, match=r"other\.safetensors"):
        load_vgg(wrong)
    text = tmp_path / "text.pth"
    text.write_text("no weights at all")
    with pytest.raises(SscnError, match=r"text\.pth"):
        load_vgg(text)
    with pytest.raises(SscnError, match="no such"):
        load_vgg(tmp_path / "missing.pth")


def test_damaged_shipped_weights_are_refused(tmp_path, monkeypatch):
    damaged = tmp_path / "vgg16_hed.safetensors"
    damaged.write_bytes(b"\0" * 100)
    monkeypatch.setattr("sscn.weights.WEIGHTS_FOLDER", tmp_path)
    with pytest.raises(SscnError, match="damaged"):
        read_shipped("vgg16_hed")
    with pytest.raises(SscnError, match="cannot be read"):
        read_shipped("efficientnet_lite0")


def test_loading_is_strict():
    state = VGG16().state_dict()
    del state["fuse.bias"]
    with pytest.raises(SscnError, match="do not fit"):
        load_strictly(VGG16(), state, "test")


def test_weights_are_identified():
    assert weights_sha256("vgg16_hed") == WEIGHTS_SHA256["vgg16_hed"]
    assert len(weights_sha256("vgg16_hed", "efficientnet_lite0")) == 64
    assert sum(len(widths) for widths in STAGES) == 13
