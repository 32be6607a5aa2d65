"""Backbones that start from weights trained elsewhere."""

from pathlib import Path

import pytest
import torch
import torchvision

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, save_encoder
from densevos.models.pretrained import load_backbone
from densevos.models.resnet import DenseResNet


def test_a_backbone_starts_from_the_query_encoder_of_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state, path = torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "moco.pth"
    query = {f"module.encoder_q.{name}": tensor for name, tensor in state.items()}
    key = {f"module.encoder_k.{name}": torch.zeros_like(tensor) for name, tensor in state.items()}
    torch.save({"epoch": 200, "state_dict": query | key}, path)
    backbone = DenseResNet("resnet18", 8)
    load_backbone(backbone, "resnet18", str(path))
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_a_backbone_says_what_it_cannot_start_from(tmp_path: Path) -> None:
    backbone, path = DenseResNet("resnet18", 8), tmp_path / "weights.pth"
    state = backbone.state_dict()
    for content, message in (
        (
            {f"{side}.{name}": tensor for side in "ab" for name, tensor in state.items()},
            "several networks \\(a, b\\)",
        ),
        ({"conv1.weight": torch.zeros(1)}, "is not of a resnet18 \\(conv1.weight does not fit\\)"),
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match=f"--weights .*weights.pth: .*{message}"):
            load_backbone(backbone, "resnet18", str(path))
    path.write_text("<html>")
    with pytest.raises(
        InputError, match=r"--weights .*weights\.pth: is no plain state dict \(is a web page\)"
    ):
        load_backbone(backbone, "resnet18", str(path))


def test_a_backbone_starts_from_an_encoder_of_our_own(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder, path = DenseEncoder(EncoderConfig()), tmp_path / "encoder.safetensors"
    save_encoder(path, encoder, {})
    backbone = DenseResNet(
        "resnet18", 8, last="res3", dilated=True
    )  # without the last stage of that encoder
    load_backbone(backbone, "resnet18", str(path))
    theirs = encoder.backbone.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in backbone.state_dict().items())


def test_an_encoder_of_our_own_of_another_network_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, DenseEncoder(EncoderConfig(last="res3")), {})
    expected = (
        r"is an encoder of resnet18 up to res3, the backbone is {}; "
        r"pass the --encoder options of its run"
    )
    for architecture, backbone, message in (
        ("resnet50", DenseResNet("resnet50", 8), "resnet50 up to res4"),
        ("resnet18", DenseResNet("resnet18", 8), "resnet18 up to res4"),
    ):
        with pytest.raises(InputError, match=expected.format(message)) as caught:
            load_backbone(backbone, architecture, str(path))
        assert "\n" not in str(caught.value)
