"""The encoder: dense trunk + projection head, and the file it is kept in.

An encoder on disk is two files: `encoder.safetensors` (weights; the trunk under torchvision's own
parameter names, the rest under `reduction.` and `head.`) and `encoder.json`, the card:
architecture, stride, normalisation and how it was trained.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models import card
from densevos.models.resnet import ARCHITECTURES, STRIDES, DenseResNet, Stage

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
LUMINANCE = (0.212671, 0.715160, 0.072169)  # Y of CIE XYZ from linear sRGB
FORMAT = "densevos-encoder-1"

Layer = Literal["res3", "res4", "x", "key"]


class ProjectionHead(nn.Module):
    """1x1 convolution, BatchNorm, ReLU, 1x1 convolution: trunk features [B,C,h,w] -> [B,K,h,w]
    (DUL, Sec. 4).
    """

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
        self.trunk = DenseResNet(
            config.architecture, config.stride, last=config.last, dilated=config.dilated
        )
        width = self.trunk.channels[config.last]

        if config.channels:
            self.reduction = nn.Sequential(
                nn.Conv2d(width, config.channels, 1), nn.BatchNorm2d(config.channels)
            )
            width = config.channels

        if config.head == "mlp":
            self.head: nn.Module = ProjectionHead(width, config.key_channels)
        else:
            self.head = nn.Conv2d(width, config.key_channels, 1)

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the features that propagation may compare, the best choice first."""
        stages = tuple(stage for stage in ("res4", "res3") if stage in self.trunk.channels)
        return ("x", *stages, "key") if self.config.channels else (*stages, "key")

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,3,H,W] (ImageNet-normalised) -> keys [B,K,h,w], unit length along K,
        float32.
        """
        return self.keys(self.features(frames, "x"))

    def stages(self, frames: Tensor, last: Stage | None = None) -> dict[str, Tensor]:
        """Frames [B,3,H,W] (ImageNet-normalised RGB, whatever the trunk sees) -> its stages up to
        `last`.
        """
        return self.trunk.stages(
            lightness(frames) if self.config.input == "lab_l" else frames, last
        )

    def reduced(self, features: Tensor) -> Tensor:
        """Trunk features [B,C,h,w] -> x, the features that the head sees."""
        return self.reduction(features) if self.config.channels else features

    def keys(self, x: Tensor) -> Tensor:
        """x [B,C,h,w] -> keys [B,K,h,w], unit length along K, float32."""
        return F.normalize(self.head(x).float(), dim=1)

    def features(self, frames: Tensor, layer: Layer = "res4") -> Tensor:
        """Features [B,C,h,w] that propagation compares: a stage of the trunk, `x` (its last one,
        reduced) or `key`.
        """
        if layer == "key":
            return self(frames)
        if layer == "x":
            return self.reduced(self.stages(frames)[self.trunk.last])

        return self.stages(frames, layer)[layer]


def normalise(frames: Tensor) -> Tensor:
    """RGB frames [...,3,H,W] in [0,1] -> zero mean and unit variance by the ImageNet statistics."""
    return (frames - _by_channel(MEAN, frames)) / _by_channel(STD, frames)


def lightness(frames: Tensor) -> Tensor:
    """Normalised sRGB frames [...,3,H,W] -> L of CIE Lab (white D65), a grey frame normalised as
    any other.
    """
    srgb = (frames * _by_channel(STD, frames) + _by_channel(MEAN, frames)).clamp(0, 1)
    linear = torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)
    luminance = (linear * _by_channel(LUMINANCE, linear)).sum(-3, keepdim=True)
    cube_root = luminance.clamp(min=1e-6) ** (1 / 3)
    grey = torch.where(
        luminance > (6 / 29) ** 3, 1.16 * cube_root - 0.16, (29 / 3) ** 3 / 100 * luminance
    )

    return normalise(grey.expand_as(frames))


def _by_channel(values: tuple[float, float, float], like: Tensor) -> Tensor:
    """Three numbers as [3,1,1], of the dtype and on the device of `like`.

    They are filled in there: a copy of a tensor made on the host would wait for all that the device
    has to do.
    """
    return torch.cat([like.new_full((1, 1, 1), value) for value in values])


def save_encoder(path: Path, encoder: DenseEncoder, training: Mapping[str, Any]) -> None:
    """Write weights to `path` (.safetensors) and the card beside it (.json), each whole or not at
    all.
    """
    card.save(
        path,
        {_on_disk(name): tensor for name, tensor in encoder.state_dict().items()},
        {
            "format": FORMAT,
            "encoder": dataclasses.asdict(encoder.config),
            "normalisation": {"mean": MEAN, "std": STD, "input": "RGB in [0, 1]"},
            "training": dict(training),
        },
    )


def load_encoder(path: Path) -> tuple[DenseEncoder, dict[str, Any]]:
    """Read an encoder (in eval mode) and its card.

    Raises InputError when the file is missing, truncated, no safetensors file (a pickle is never
    opened), or holds another network than its card says.
    """
    weights, facts = card.load(path, FORMAT, "encoder")
    encoder = DenseEncoder(read_config(path, facts))
    try:
        encoder.load_state_dict({_in_memory(name): tensor for name, tensor in weights.items()})
    except RuntimeError as error:
        raise InputError(
            f"{path}: weights do not fit the {encoder.config.architecture} that its card names; "
            "export it again from its run"
        ) from error

    return encoder.eval(), facts


def read_config(path: Path, facts: Mapping[str, Any]) -> EncoderConfig:
    """The encoder's configuration from a card; InputError when it is of another version or
    network.
    """
    try:
        config = EncoderConfig(**facts["encoder"])
    except (KeyError, TypeError) as error:
        raise InputError(
            f"{path}: encoder card is of another version ({error}); export it again"
        ) from error

    if config.architecture not in ARCHITECTURES or config.stride not in STRIDES:
        raise InputError(
            f"{path}: architecture {config.architecture} at stride {config.stride} is unknown; "
            f"known are {', '.join(ARCHITECTURES)} at strides {STRIDES}"
        )

    return config


def _on_disk(name: str) -> str:
    return name.removeprefix("trunk.")


def _in_memory(name: str) -> str:
    return name if name.startswith(("head.", "reduction.")) else f"trunk.{name}"
