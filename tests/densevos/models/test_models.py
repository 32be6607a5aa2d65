"""The encoder and the file it is kept in."""

import json
import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from skimage.color import rgb2lab
from torchvision.models import resnet18, resnet50

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models.encoder import DenseEncoder, lightness, load_encoder, normalise, save_encoder


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_output_stride_and_width(architecture: str, stride: int) -> None:
    encoder = DenseEncoder(
        EncoderConfig(architecture=architecture, stride=stride, key_channels=24)
    ).eval()
    frames = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        key, res4, res3 = (encoder.features(frames, layer) for layer in ("key", "res4", "res3"))
    wide = 4 if architecture == "resnet50" else 1
    assert key.shape == (1, 24, 64 // stride, 96 // stride)
    assert res4.shape == (1, 512 * wide, 64 // stride, 96 // stride)
    assert res3.shape[1] == 256 * wide
    torch.testing.assert_close(key.norm(dim=1), torch.ones(1, 64 // stride, 96 // stride))


@pytest.mark.parametrize(
    ("architecture", "network"), [("resnet18", resnet18), ("resnet50", resnet50)]
)
def test_backbone_is_torchvisions_network_with_other_strides(architecture: str, network) -> None:
    backbone = DenseEncoder(EncoderConfig(architecture=architecture, stride=32)).backbone.eval()
    reference = network(weights=None).eval()
    missing, unexpected = backbone.load_state_dict(reference.state_dict(), strict=False)
    assert not missing
    assert sorted(unexpected) == ["fc.bias", "fc.weight"]
    reference.avgpool = reference.fc = torch.nn.Identity()
    frames = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(backbone(frames).flatten(1), reference(frames))


def test_convolutions_are_not_dilated() -> None:
    backbone = DenseEncoder(EncoderConfig(stride=8)).backbone
    assert all(m.dilation == (1, 1) for m in backbone.modules() if isinstance(m, torch.nn.Conv2d))


def test_normalise_uses_imagenet_statistics() -> None:
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1).expand(3, 2, 2)
    assert torch.equal(normalise(mean), torch.zeros(3, 2, 2))


def test_lightness_is_that_of_cie_lab() -> None:
    torch.manual_seed(0)
    frames = torch.cat(
        [torch.rand(1, 3, 6, 7), torch.rand(1, 3, 6, 7) / 20]
    )  # the second has the straight part
    grey = torch.from_numpy(rgb2lab(frames.permute(0, 2, 3, 1).numpy())[..., 0] / 100).float()
    expected = normalise(grey[:, None].expand(-1, 3, -1, -1))
    torch.testing.assert_close(lightness(normalise(frames)), expected, atol=2e-5, rtol=0)


def test_an_encoder_of_lightness_sees_nothing_else() -> None:
    torch.manual_seed(0)
    grey = DenseEncoder(
        EncoderConfig(input="lab_l", last="res3", channels=16, key_channels=8)
    ).eval()
    colour = DenseEncoder(EncoderConfig(last="res3", channels=16, key_channels=8)).eval()
    colour.load_state_dict(grey.state_dict())
    frames = normalise(torch.rand(1, 3, 32, 32))
    with torch.no_grad():
        for layer in ("key", "x", "res3"):
            torch.testing.assert_close(
                grey.features(frames, layer), colour.features(lightness(frames), layer)
            )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    save_encoder(
        tmp_path / "encoder.safetensors", DenseEncoder(EncoderConfig(key_channels=8)), {"steps": 3}
    )
    return tmp_path / "encoder.safetensors"


def test_file_round_trip_and_card(saved: Path) -> None:
    encoder, card = load_encoder(saved)
    again, _ = load_encoder(saved)
    frames = torch.rand(1, 3, 32, 32)
    assert not encoder.training
    assert torch.equal(encoder(frames), again(frames))
    assert card["training"] == {"steps": 3}
    assert json.loads(saved.with_suffix(".json").read_text()) == card


def test_weights_on_disk_have_torchvision_names(saved: Path) -> None:
    weights = safetensors.torch.load_file(saved)
    missing, unexpected = resnet18(weights=None).load_state_dict(weights, strict=False)
    assert sorted(missing) == ["fc.bias", "fc.weight"]
    assert all(name.startswith("head.") for name in unexpected)


def refused(path: Path, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        load_encoder(path)
    assert str(path) in str(caught.value)


def test_missing_truncated_and_foreign_files_are_refused(saved: Path, tmp_path: Path) -> None:
    refused(tmp_path / "none.safetensors", "no such encoder file")
    saved.write_bytes(saved.read_bytes()[:-1000])
    refused(saved, "not a complete safetensors file")
    foreign = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"x": torch.zeros(2)}, foreign)
    refused(foreign, "no densevos encoder card")


def test_weights_of_another_architecture_are_refused(saved: Path, tmp_path: Path) -> None:
    card = json.loads(saved.with_suffix(".json").read_text())
    weights = safetensors.torch.load_file(saved)
    for change, reason in (
        ({"architecture": "resnet50"}, "do not fit the resnet50"),
        ({"architecture": "vgg"}, "unknown"),
    ):
        other = tmp_path / "other.safetensors"
        changed = {**card, "encoder": {**card["encoder"], **change}}
        safetensors.torch.save_file(weights, other, metadata={"card": json.dumps(changed)})
        refused(other, reason)


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_a_pickle_is_never_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "encoder.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(path, "not a complete safetensors file")
    assert not Path("exploded").exists()
