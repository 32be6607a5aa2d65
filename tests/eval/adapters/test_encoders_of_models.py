"""Encoders within whole models: MuG's, and those of segmentation networks, before and after they
learn.
"""

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.config.image_to_video import NetworkConfig
from densevos.models import card
from densevos.models.encoder import normalise
from densevos.models.mug import MugNetwork, save_model
from densevos.models.segmentation.network import SegmentationNetwork, make_network, save_network
from densevos_eval.adapters.encoder import load_encoder

FRAMES = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
SWIN = {"embed_dim": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "window": 4, "hidden": 8}
NETWORKS = {
    "cnn": NetworkConfig(architecture="deeplabv3", backbone="resnet18", stride=16),
    "swin": NetworkConfig(**SWIN),  # type: ignore[arg-type]
    "videoswin": NetworkConfig(architecture="video_swin", clip_frames=3, **SWIN),  # type: ignore[arg-type]
}
STRIDES = {"stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32, "global": 32}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def saved(folder: Path, name: str, seed: int = 0) -> SegmentationNetwork:
    """A network in a run folder."""
    torch.manual_seed(seed)
    network = make_network(NETWORKS[name], 3).eval()
    folder.mkdir(exist_ok=True)
    file = folder / "model.safetensors"
    save_network(
        file,
        network,
        config=NETWORKS[name],
        classes=("background", "cat", "dog"),
        size=64,
        training={},
    )
    return network


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_of_segmentation_networks_are_their_taps(name: str, tmp_path: Path) -> None:
    network = saved(tmp_path, name)
    clips = torch.zeros(
        2, network.clip_frames, 3, 64, 96
    )  # an image is a clip whose other frames are empty
    clips[:, 0] = normalise(FRAMES)
    with torch.no_grad():
        expected = network.encode(clips)

    for tap in ("stage1", "stage3"):
        encoder = load_encoder(tmp_path / "model.safetensors", layer=tap, device="cpu")
        assert encoder.stride == STRIDES[tap]
        torch.testing.assert_close(
            encoder(FRAMES), F.normalize(expected[tap][:, 0], dim=1), rtol=1e-4, atol=1e-5
        )

    usual = load_encoder(tmp_path, device="cpu")
    assert (usual.layer, usual.stride) == ("global", 16 if name == "cnn" else 32)
    torch.testing.assert_close(
        usual(FRAMES), F.normalize(expected["global"][:, 0], dim=1), rtol=1e-4, atol=1e-5
    )


def test_a_network_can_be_exchanged_for_another(tmp_path: Path) -> None:
    for seed in (0, 1):
        saved(tmp_path / str(seed), "swin", seed)
    before, after = (load_encoder(tmp_path / str(seed), device="cpu")(FRAMES) for seed in (0, 1))
    assert before.shape == after.shape
    assert not torch.equal(before, after)


def test_the_encoder_of_mug_is_one_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = EncoderConfig(
        architecture="resnet18", stride=8, last="res3", channels=16, key_channels=8, head="linear"
    )
    network = MugNetwork(config, "conv", 0.07).eval()
    save_model(tmp_path / "model.safetensors", network, size=64, segments=3, training={})
    encoder = load_encoder(tmp_path / "model.safetensors", device="cpu")
    with torch.no_grad():
        expected = F.normalize(
            network.encoder.features(normalise(FRAMES), encoder.layer).float(), dim=1
        )
    torch.testing.assert_close(encoder(FRAMES), expected, rtol=1e-4, atol=1e-5)


def test_models_of_another_format_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    card.save(file, {"weight": torch.zeros(1)}, {"format": "densevos-other-1"})
    with pytest.raises(InputError, match="has no densevos encoder card"):
        load_encoder(file, device="cpu")
    saved(tmp_path, "swin")
    with pytest.raises(
        InputError,
        match="has no layer res4; choose --layer spatial, stage1, stage2, stage3, stage4, global",
    ):
        load_encoder(file, layer="res4", device="cpu")
