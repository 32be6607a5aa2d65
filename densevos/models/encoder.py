"""The encoder: a dense backbone with a projection head, and its file.

An encoder on disk is two files. `encoder.safetensors` holds the weights: the backbone's under
torchvision's parameter names, the others under `reduction.` and `head.`. `encoder.json` is the
card: architecture, stride, normalisation and how the encoder was trained.

State dicts, and so checkpoints and the model.safetensors of MuG, call the backbone `trunk`: files
of the first version have this name. `DenseEncoder` saves and loads it under this name.
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

# How names of the backbone's parameters start in memory, and in state dicts.
BACKBONE, SAVED_BACKBONE = "backbone.", "trunk."

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
    """Normalised frames -> dense embeddings.

    State dicts have `trunk.` where parameters have `backbone.`; loading takes either.
    """

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.backbone = DenseResNet(
            config.architecture, config.stride, last=config.last, dilated=config.dilated
        )
        width = self.backbone.channels[config.last]

        # The reduction changes the width of x, which the head sees.
        if config.channels:
            self.reduction = nn.Sequential(
                nn.Conv2d(width, config.channels, 1), nn.BatchNorm2d(config.channels)
            )
            width = config.channels

        # The head of DUL has a hidden layer; a single convolution is the other choice.
        if config.head == "mlp":
            self.head: nn.Module = ProjectionHead(width, config.key_channels)
        else:
            self.head = nn.Conv2d(width, config.key_channels, 1)

        # torch has no types of these two.
        self.register_state_dict_post_hook(_to_saved_names)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_from_saved_names)  # type: ignore[no-untyped-call]

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the features that propagation can compare, the best choice first."""
        # A reduction makes x a layer of its own; otherwise x is the last stage.
        layers = ["x"] if self.config.channels else []
        for stage in ("res4", "res3"):
            if stage in self.backbone.channels:
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
        # Frames arrive normalised, whatever the backbone sees.
        if self.config.input == "lab_l":
            frames = lightness(frames)

        return self.backbone.stages(frames, last)

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
            return self.reduced(self.stages(frames)[self.backbone.last])

        # Later stages than the wanted one are not computed.
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
    # L / 100 is 1.16 times the cube root of Y, less 0.16, and linear below Y = (6/29)^3.
    luminance = (linear * _by_channel(LUMINANCE, linear)).sum(-3, keepdim=True)
    # The clamp keeps the gradient of the root finite at black, where the linear part is taken.
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
    # Names on disk are torchvision's, so that other programs can load the backbone.
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

    >>> from importlib.resources import files
    >>> import torch
    >>> from densevos import load_encoder
    >>> path = files("densevos_eval") / "assets" / "default.safetensors"  # comes with the package
    >>> encoder, card = load_encoder(path)
    >>> card["encoder"]["architecture"]
    'resnet18'
    >>> encoder.features(torch.zeros(1, 3, 64, 96), "res3").shape
    torch.Size([1, 256, 8, 12])
    """
    weights, facts = card.load(path, FORMAT, "encoder")
    encoder = DenseEncoder(read_config(path, facts))
    try:
        encoder.load_state_dict({_in_state_dict(name): tensor for name, tensor in weights.items()})
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

    # A card can be valid JSON and still name a network that this version does not know.
    if config.architecture not in ARCHITECTURES or config.stride not in STRIDES:
        raise InputError(
            f"{path}: architecture {config.architecture} at stride {config.stride} is unknown; "
            f"known are {', '.join(ARCHITECTURES)} at strides {STRIDES}"
        )

    return config


def _to_saved_names(
    module: nn.Module, state: dict[str, Any], prefix: str, metadata: Mapping[str, Any]
) -> None:
    """Rename the backbone in a new state dict; `prefix` is that of the encoder's parameters."""
    _rename(state, prefix + BACKBONE, prefix + SAVED_BACKBONE)


def _from_saved_names(
    module: nn.Module, state: dict[str, Any], prefix: str, *loading: object
) -> None:
    """Undo `_to_saved_names` in a state dict that is being loaded."""
    _rename(state, prefix + SAVED_BACKBONE, prefix + BACKBONE)


def _rename(state: dict[str, Any], before: str, after: str) -> None:
    """Replace the start of names, in place and in the same order."""
    renamed = {}
    for name, value in state.items():
        if name.startswith(before):
            name = after + name.removeprefix(before)

        renamed[name] = value

    # The dictionary is changed in place, because the hooks must return nothing.
    state.clear()
    state.update(renamed)


def _on_disk(name: str) -> str:
    """The name of a parameter in encoder.safetensors, where the backbone's are torchvision's."""
    return name.removeprefix(SAVED_BACKBONE)


def _in_state_dict(name: str) -> str:
    """The inverse of `_on_disk`."""
    return name if name.startswith(("head.", "reduction.")) else SAVED_BACKBONE + name
