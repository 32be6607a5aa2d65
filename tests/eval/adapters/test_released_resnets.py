"""Snapshots of VFS, UVC, TimeCycle and MoCo, as the programs of their authors write them."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, STD, normalise
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.adapters.frames import FrameConfig
from tests.eval.adapters.releases import before

FRAMES = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def resnet(name: str = "resnet18", seed: int = 1) -> torchvision.models.ResNet:
    """A network whose BatchNorm statistics are not those of an untrained one."""
    torch.manual_seed(seed)
    network = torchvision.models.get_model(name, weights=None).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 1.5)
    return network


def expected(network: nn.Module, frames: Tensor, layer: int) -> Tensor:
    """Unit features of a layer, the strides of the last two layers dropped."""
    for stage in (network.layer3, network.layer4):
        for module in stage.modules():
            if isinstance(module, nn.Conv2d):
                module.stride = (1, 1)
    with torch.no_grad():
        x = network.maxpool(network.relu(network.bn1(network.conv1(frames))))
        for number in range(1, layer + 1):
            x = network.get_submodule(f"layer{number}")(x)
    return F.normalize(x, dim=1)


def backbone(network: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor for name, tensor in network.state_dict().items() if not name.startswith("fc.")
    }


def mmcv(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names of mmcv's ResNets, where a convolution and its BatchNorm are one module."""
    renamed = {}
    for name, tensor in weights.items():
        name = re.sub(r"\bconv(\d)\.", r"conv\1.conv.", name)
        name = re.sub(r"\bbn(\d)\.", r"conv\1.bn.", name)
        renamed[
            name.replace("downsample.0.", "downsample.conv.").replace(
                "downsample.1.", "downsample.bn."
            )
        ] = tensor
    return renamed


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_vfs(tmp_path: Path, name: str) -> None:
    """Strides 1, 2, 1, 1 and out_indices (2,), as test_cfg of the release has them."""
    network, path = resnet(name), tmp_path / "r18_nc_sgd_cos_100e_r2_1xNx8_k400.pth"
    head = {"img_head.projection_fcs.0.conv.weight": torch.zeros(8, 512)}
    weights = before("backbone.", mmcv(backbone(network))) | head
    torch.save(
        {"meta": {"epoch": 100, "mmcv_version": "1.0.5", "time": "now"}, "state_dict": weights},
        path,
    )
    encoder = load_encoder(path, device="cpu")
    assert (encoder.layer, encoder.stride) == ("res3", 8)
    torch.testing.assert_close(
        encoder(FRAMES), expected(network, normalise(FRAMES), 3), rtol=1e-3, atol=1e-5
    )

    torch.save(
        {"state_dict": {key: t for key, t in weights.items() if ".layer2.1." not in key}}, path
    )
    message = r"weights do not fit a resnet.*names are missing: .*give a whole VFS snapshot"
    with pytest.raises(InputError, match=message):
        load_encoder(path, device="cpu")


def test_mmcv_names_in_a_network_of_torchvision(tmp_path: Path) -> None:
    network = resnet()
    torch.save({"state_dict": before("backbone.", mmcv(backbone(network)))}, tmp_path / "vfs.pth")
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    first, second = (
        load_encoder(f"torchvision:resnet18:{tmp_path / name}", device="cpu")
        for name in ("vfs.pth", "plain.pth")
    )
    assert torch.equal(first(FRAMES), second(FRAMES))


def test_timecycle(tmp_path: Path) -> None:
    network, path = resnet("resnet50"), tmp_path / "checkpoint_14.pth.tar"
    weights = {name: t[:, :, None] if t.ndim == 4 else t for name, t in backbone(network).items()}
    beside = {
        "module.afterconv1.weight": torch.zeros(512, 1024, 1, 1, 1),
        "module.linear2.bias": torch.zeros(3),
    }
    torch.save(
        {
            "epoch": 14,
            "state_dict": before("module.encoderVideo.", weights) | beside,
            "optimizer": {},
        },
        path,
    )
    encoder = load_encoder(path, device="cpu")
    assert (encoder.layer, encoder.stride) == ("res3", 8)
    torch.testing.assert_close(
        encoder(FRAMES), expected(network, normalise(FRAMES), 3), rtol=1e-3, atol=1e-5
    )
    with pytest.raises(
        InputError, match="has no layer res4; choose --layer res2, res3"
    ):  # it has not learned
        load_encoder(path, layer="res4", device="cpu")


def test_uvc_sees_lightness(tmp_path: Path) -> None:
    """Frames as the release reads them: 8-bit Lab of OpenCV, L / 128 - 1, then (x + 1) / 2, then
    ImageNet's.
    """
    network, path = resnet(), tmp_path / "checkpoint_latest.pth.tar"
    beside = {"rgb_encoder.conv1.weight": torch.zeros(3, 3, 1, 1), "normalize.mean": torch.zeros(3)}
    weights = before("gray_encoder.", backbone(network)) | beside
    torch.save({"epoch": 1, "best_loss": 0.5, "state_dict": before("module.", weights)}, path)
    encoder = load_encoder(path, device="cpu")
    assert (encoder.layer, encoder.stride) == ("res4", 8)

    frame = cv2.GaussianBlur(
        np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 3
    )
    frame = cv2.normalize(frame, None, 0, 255, cv2.NORM_MINMAX)
    lightness = torch.from_numpy(cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)[..., 0]).float()
    grey = ((lightness - 128) / 128 + 1) / 2
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (MEAN, STD))
    wanted = expected(network, (grey.expand(1, 3, -1, -1) - mean) / std, 4)
    features = encoder.of_frame(frame)[None]
    torch.testing.assert_close(features, wanted, rtol=1e-3, atol=1e-5)
    preset = load_encoder(path, frames=FrameConfig(colour="lab"), device="cpu")
    assert torch.equal(preset.of_frame(frame)[None], features)


@pytest.mark.parametrize(
    ("main", "other"), [("encoder_q", "encoder_k"), ("base_encoder", "momentum_encoder")]
)
def test_moco(tmp_path: Path, main: str, other: str) -> None:
    query, key, path = resnet(), resnet(seed=2), tmp_path / "checkpoint.pth.tar"
    weights = before(f"module.{main}.", query.state_dict()) | before(
        f"module.{other}.", key.state_dict()
    )
    beside = {"module.queue": torch.zeros(128, 8), "module.queue_ptr": torch.zeros(1)}
    torch.save(
        {"epoch": 200, "arch": "resnet18", "state_dict": weights | beside, "optimizer": {}}, path
    )
    spec = f"torchvision:resnet18:{path}"
    assert torch.equal(
        load_encoder(path, device="cpu")(FRAMES), load_encoder(spec, device="cpu")(FRAMES)
    )
    for network, of in ((query, None), (query, main), (key, other)):
        torch.save(network.state_dict(), tmp_path / "plain.pth")
        plain = load_encoder(f"torchvision:resnet18:{tmp_path / 'plain.pth'}", device="cpu")
        assert torch.equal(load_encoder(spec, weights_of=of, device="cpu")(FRAMES), plain(FRAMES))


def test_half_precision_is_computed_in_single(tmp_path: Path) -> None:
    network, path = resnet(), tmp_path / "half.pth"
    torch.save(
        {
            name: t.half() if t.is_floating_point() else t
            for name, t in network.state_dict().items()
        },
        path,
    )
    torch.save(network.half().float().state_dict(), tmp_path / "plain.pth")
    half, plain = (
        load_encoder(f"torchvision:resnet18:{file}", device="cpu")
        for file in (path, tmp_path / "plain.pth")
    )
    assert torch.equal(half(FRAMES), plain(FRAMES))


def test_files_that_fit_in_part_say_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "part.pth"
    torch.save(
        {name: t for name, t in resnet().state_dict().items() if not name.startswith("layer4.1")},
        path,
    )
    message = (
        r"do not fit torchvision's resnet18 \(12 of 122 names are missing: "
        r"layer4\.1\.conv1\.weight, "
    )
    with pytest.raises(InputError, match=message):
        load_encoder(f"torchvision:resnet18:{path}", device="cpu")
