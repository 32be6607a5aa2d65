"""The encoder: dense trunk + projection head, and the file it is kept in.

An encoder on disk is two files: `encoder.safetensors` (weights; the trunk under torchvision's own parameter
names, the head under `head.`) and `encoder.json`, the card: architecture, stride, normalisation and how it
was trained.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.config import EncoderConfig
from densevos.errors import InputError
from densevos.files import write_json, written_whole
from densevos.models.resnet import ARCHITECTURES, STRIDES, DenseResNet

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

Layer = Literal["res3", "res4", "key"]


class ProjectionHead(nn.Module):
    """1x1 convolution, BatchNorm, ReLU, 1x1 convolution: trunk features [B,C,h,w] -> [B,K,h,w] (DUL, Sec. 4)."""

    def __init__(self, channels: int, key_channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, key_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        return self.conv2(torch.relu(self.bn1(self.conv1(features))))


class DenseEncoder(nn.Module):
    """Normalised frames -> dense embeddings."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.trunk = DenseResNet(config.architecture, config.stride)
        self.head = ProjectionHead(self.trunk.channels["res4"], config.key_channels)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,3,H,W] (ImageNet-normalised) -> keys [B,K,h,w], unit length along K, float32."""
        return F.normalize(self.head(self.trunk(frames)).float(), dim=1)

    def features(self, frames: Tensor, layer: Layer = "res4") -> Tensor:
        """Features that propagation compares: `res3`, `res4` (raw trunk output) or `key`, [B,C,h,w]."""
        if layer == "key":
            return self(frames)
        return self.trunk.res3(frames) if layer == "res3" else self.trunk(frames)


def normalise(frames: Tensor) -> Tensor:
    """RGB frames [...,3,H,W] in [0,1] -> zero mean and unit variance by the ImageNet statistics."""
    mean, std = (torch.tensor(v, device=frames.device, dtype=frames.dtype).view(3, 1, 1) for v in (MEAN, STD))
    return (frames - mean) / std


def save_encoder(path: Path, encoder: DenseEncoder, training: Mapping[str, Any]) -> None:
    """Write weights to `path` (.safetensors) and the card beside it (.json), each whole or not at all."""
    weights = {_on_disk(name): t.detach().cpu().contiguous() for name, t in encoder.state_dict().items()}
    card = {
        "format": "densevos-encoder-1",
        "encoder": dataclasses.asdict(encoder.config),
        "normalisation": {"mean": MEAN, "std": STD, "input": "RGB in [0, 1]"},
        "training": dict(training),
    }
    with written_whole(path) as file:
        file.write(safetensors.torch.save(weights, metadata={"card": json.dumps(card)}))
    write_json(path.with_suffix(".json"), card)


def load_encoder(path: Path) -> tuple[DenseEncoder, dict[str, Any]]:
    """Read an encoder (in eval mode) and its card.

    Raises InputError when the file is missing, truncated, no safetensors file (a pickle is never opened),
    or holds another network than its card says.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            weights = {_in_memory(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise InputError(f"{path}: no such encoder file") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: not a whole safetensors file ({error}); give the encoder.safetensors of a run"
        ) from error
    try:
        card = json.loads(metadata.get("card", "null"))
    except json.JSONDecodeError:
        card = None
    if not isinstance(card, dict) or card.get("format") != "densevos-encoder-1":
        raise InputError(
            f"{path}: has no densevos encoder card; export it with `densevos export` or give a run's encoder"
        )
    encoder = DenseEncoder(_config(path, card))
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(
            f"{path}: weights do not fit the {encoder.config.architecture} that its card names; "
            "export it again from its run"
        ) from error
    return encoder.eval(), card


def _config(path: Path, card: dict[str, Any]) -> EncoderConfig:
    try:
        config = EncoderConfig(**card["encoder"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: encoder card is of another version ({error}); export it again") from error
    if config.architecture not in ARCHITECTURES or config.stride not in STRIDES:
        raise InputError(
            f"{path}: architecture {config.architecture} at stride {config.stride} is unknown; "
            f"known are {', '.join(ARCHITECTURES)} at strides {STRIDES}"
        )
    return config


def _on_disk(name: str) -> str:
    return name.removeprefix("trunk.")


def _in_memory(name: str) -> str:
    return name if name.startswith("head.") else f"trunk.{name}"
