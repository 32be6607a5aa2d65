"""Trunks that begin with weights trained elsewhere."""

from pathlib import Path

import pytest
import torch
import torchvision

from densevos.base.errors import InputError
from densevos.models.pretrained import load_trunk
from densevos.models.resnet import DenseResNet


def test_a_trunk_begins_with_the_query_encoder_of_a_checkpoint(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state, path = torchvision.models.resnet18(weights=None).state_dict(), tmp_path / "moco.pth"
    query = {f"module.encoder_q.{name}": tensor for name, tensor in state.items()}
    key = {f"module.encoder_k.{name}": torch.zeros_like(tensor) for name, tensor in state.items()}
    torch.save({"epoch": 200, "state_dict": query | key}, path)
    trunk = DenseResNet("resnet18", 8)
    load_trunk(trunk, "resnet18", str(path))
    for name, tensor in trunk.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_a_trunk_says_what_it_cannot_begin_with(tmp_path: Path) -> None:
    trunk, path = DenseResNet("resnet18", 8), tmp_path / "weights.pth"
    state = trunk.state_dict()
    for content, message in (
        ({f"{side}.{name}": tensor for side in "ab" for name, tensor in state.items()}, "several networks \\(a, b\\)"),
        ({"conv1.weight": torch.zeros(1)}, "is not of a resnet18 \\(conv1.weight does not fit\\)"),
    ):
        torch.save(content, path)
        with pytest.raises(InputError, match=f"--weights .*weights.pth: .*{message}"):
            load_trunk(trunk, "resnet18", str(path))
    path.write_text("<html>")
    with pytest.raises(InputError, match=r"--weights .*weights\.pth: is no plain state dict \(is a web page\)"):
        load_trunk(trunk, "resnet18", str(path))
