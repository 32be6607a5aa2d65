"""The encoder: a dense backbone with a projection head, and its file.

An encoder on disk is two files. `encoder.safetensors` holds the weights: the backbone's under
torchvision's parameter names, the others under `reduction.` and `head.`. `encoder.json` is the
card: architecture, stride, normalisation and how the encoder was trained. In memory the backbone is
the module `trunk`, because checkpoints have this name.
"""

# Shapes: B frames of H x W pixels, C channels of features, K channels of a key, h x w cells of the
# feature map.

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

# Statistics of ImageNet, for RGB in [0,1].
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
LUMINANCE = (0.212671, 0.715160, 0.072169)  # Y of CIE XYZ from linear sRGB
FORMAT = "densevos-encoder-1"

Layer = Literal["res3", "res4", "x", "key"]


class ProjectionHead(nn.Module):
    """1x1 convolution, BatchNorm, ReLU, 1x1 convolution: [B,C,h,w] -> [B,K,h,w] (DUL, Sec. 4)."""

    def __init__(self, channels: int, key_channels: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, key_channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        keys: Tensor = self.conv2(torch.relu(self.bn1(self.conv1(features))))
        return keys


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
        """Names of the features that propagation can compare, the best choice first."""
        # A reduction makes x a layer of its own; otherwise x is the last stage.
        layers = ["x"] if self.config.channels else []
        for stage in ("res4", "res3"):
            if stage in self.trunk.channels:
                layers.append(stage)

        return (*layers, "key")

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,3,H,W], normalised -> keys [B,K,h,w] of unit length along K, float32."""
        return self.keys(self.features(frames, "x"))

    def stages(self, frames: Tensor, last: Stage | None = None) -> dict[str, Tensor]:
        """The stages of the backbone.

        Args:
            frames: [B,3,H,W] RGB, ImageNet-normalised, also for a backbone that sees lightness.
            last: The last stage to compute; None for all.

        Returns:
            Features [B,C,h,w] by stage.
        """
        if self.config.input == "lab_l":
            frames = lightness(frames)

        return self.trunk.stages(frames, last)

    def reduced(self, features: Tensor) -> Tensor:
        """Features [B,C,h,w] of the backbone -> x, the features that the head sees."""
        return self.reduction(features) if self.config.channels else features

    def keys(self, x: Tensor) -> Tensor:
        """x [B,C,h,w] -> keys [B,K,h,w] of unit length along K, float32."""
        return F.normalize(self.head(x).float(), dim=1)

    def features(self, frames: Tensor, layer: Layer = "res4") -> Tensor:
        """The features that propagation compares.

        Args:
            frames: [B,3,H,W], ImageNet-normalised.
            layer: A stage of the backbone, `x` (its last stage, reduced) or `key`.

        Returns:
            [B,C,h,w].
        """
        if layer == "key":
            keys: Tensor = self(frames)
            return keys
        if layer == "x":
            return self.reduced(self.stages(frames)[self.trunk.last])

        return self.stages(frames, layer)[layer]


def normalise(frames: Tensor) -> Tensor:
    """Normalise RGB frames [...,3,H,W] in [0,1] by the mean and deviation of ImageNet."""
    return (frames - _by_channel(MEAN, frames)) / _by_channel(STD, frames)


def lightness(frames: Tensor) -> Tensor:
    """Turn frames into grey ones by L of CIE Lab (white D65).

    Args:
        frames: sRGB [...,3,H,W], ImageNet-normalised.

    Returns:
        Grey frames of the same shape, also ImageNet-normalised.
    """
    # sRGB to linear RGB, to luminance, to L / 100: each with its linear part near black.
    srgb = (frames * _by_channel(STD, frames) + _by_channel(MEAN, frames)).clamp(0, 1)
    linear = torch.where(srgb > 0.04045, ((srgb + 0.055) / 1.055) ** 2.4, srgb / 12.92)
    luminance = (linear * _by_channel(LUMINANCE, linear)).sum(-3, keepdim=True)
    cube_root = luminance.clamp(min=1e-6) ** (1 / 3)
    grey = torch.where(
        luminance > (6 / 29) ** 3, 1.16 * cube_root - 0.16, (29 / 3) ** 3 / 100 * luminance
    )

    return normalise(grey.expand_as(frames))


def _by_channel(values: tuple[float, float, float], like: Tensor) -> Tensor:
    """Three numbers as [3,1,1], of the dtype and on the device of `like`."""
    # Filled in on the device: to copy a tensor from the host would wait for all its pending work.
    return torch.cat([like.new_full((1, 1, 1), value) for value in values])


def save_encoder(path: Path, encoder: DenseEncoder, training: Mapping[str, Any]) -> None:
    """Write an encoder and its card; both writes are atomic.

    Args:
        path: The .safetensors file; the card goes beside it (.json).
        encoder: The encoder.
        training: How it was trained, plain values for the card.
    """
    weights = {_on_disk(name): tensor for name, tensor in encoder.state_dict().items()}
    facts = {
        "format": FORMAT,
        "encoder": dataclasses.asdict(encoder.config),
        "normalisation": {"mean": MEAN, "std": STD, "input": "RGB in [0, 1]"},
        "training": dict(training),
    }
    card.save(path, weights, facts)


def load_encoder(path: Path) -> tuple[DenseEncoder, dict[str, Any]]:
    """Read an encoder (in eval mode) and its card.

    Raises:
        InputError: The file is missing, truncated, no safetensors file (a pickle is never opened),
            or holds another network than its card names.
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
    """The encoder's configuration from a card.

    Args:
        path: The file of the card, for messages.
        facts: The card.

    Raises:
        InputError: The card is of another version or network.
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
    """The name of a parameter in a file, where the backbone's have torchvision's names."""
    return name.removeprefix("trunk.")


def _in_memory(name: str) -> str:
    """The inverse of `_on_disk`."""
    return name if name.startswith(("head.", "reduction.")) else f"trunk.{name}"
