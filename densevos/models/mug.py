"""MuG's network: an encoder, global aggregation over frames, and a readout of the foreground.

For a frame of 256 x 256 pixels at stride 4, the features x are [512,64,64], the matching embedding
e (the encoder's keys) is [64,64,64], and the aggregated features r are [256,64,64]. These are the
512, 64 and 256 of the paper (docs/decisions.md, D12).
"""

# Shapes: B frames of H x W pixels, C channels of x, R reference frames, h x w cells of the feature
# map.

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.config import EncoderConfig
from densevos.models import card
from densevos.models.aggregation import aggregate
from densevos.models.encoder import DenseEncoder, read_config

FORMAT = "densevos-mug-1"
KEY, VALUE = 32, 128  # channels that the aggregation compares, and that it gathers
PRIOR = 0.15
"""Probability of foreground in an untrained network: about its share of the maps.

With one half, the first hundred steps would only learn this number. Lin et al. (ICCV 2017)
initialise their bias in this way for the same reason.
"""
Readout = Literal["conv", "refine", "fine"]


class MugNetwork(nn.Module):
    """Encoder, rho, aggregation and nu (Lu et al., CVPR 2020, Sec. 3)."""

    def __init__(self, config: EncoderConfig, readout: Readout, temperature: float):
        """Make the network.

        Args:
            config: The encoder's configuration.
            readout: Layers of nu.
            temperature: Temperature of the aggregation.
        """
        super().__init__()
        self.encoder = DenseEncoder(config)
        self.readout, self.temperature = readout, temperature
        # x has the width of the reduction, or that of the last stage if there is none.
        width = config.channels or self.encoder.backbone.channels[config.last]
        self.rho = _at_prior(nn.Conv2d(width, 1, 1))
        # One convolution makes keys and values together; `recall` splits them.
        self.memory = nn.Sequential(
            nn.Conv2d(width, KEY + VALUE, 3, padding=1, bias=False),
            nn.BatchNorm2d(KEY + VALUE),
            nn.ReLU(),
        )
        # The readouts differ in the stages that they see, hence in the layers that they need.
        stages = self.encoder.backbone.channels
        self.nu: nn.Module
        match readout:
            case "conv":
                self.nu = ConvReadout()
            case "refine":
                self.nu = RefineReadout(stages["res2"], stages["res3"])
            case "fine":
                self.nu = FineReadout(stages["res1"], stages["res2"])

    def encode(self, frames: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Normalised frames [B,3,H,W] -> x [B,C,h,w] and the stages of the backbone."""
        stages = self.encoder.stages(frames)
        return self.encoder.reduced(stages[self.encoder.backbone.last]), stages

    def foreground(self, x: Tensor) -> Tensor:
        """rho: x [B,C,h,w] of single frames -> logits [B,h,w] of foreground (Eq. 2)."""
        logits: Tensor = self.rho(x)[:, 0]
        return logits

    def recall(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [B,C,h,w] -> unit keys [B,32,h,w] and values [B,128,h,w] of the aggregation."""
        # Keys have unit length, so that their products are cosines; both parts are float32.
        key, value = self.memory(x).split([KEY, VALUE], dim=1)
        return F.normalize(key.float(), dim=1), value.float()

    def gather(self, key: Tensor, value: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """r: values that a frame's cells find in its references, joined by its own (Eq. 11).

        Args:
            key: Keys [B,32,h,w] of the frames.
            value: Values [B,128,h,w] of the frames.
            keys: Pooled keys [B,R,32,h/2,w/2] of the references.
            values: Pooled values [B,R,128,h/2,w/2] of the references.

        Returns:
            [B,256,h,w].
        """
        return torch.cat([aggregate(key, keys, values, self.temperature), value], dim=1)


def save_model(
    path: Path, network: MugNetwork, *, size: int, segments: int, training: Mapping[str, Any]
) -> None:
    """Write the complete network and its card.

    Args:
        path: The .safetensors file; the card goes beside it (.json).
        network: The network.
        size: Side of the frames that it was trained with, pixels.
        segments: K, the number of frames of an abstract.
        training: How it was trained, plain values for the card.
    """
    # The card holds everything that `load_model` needs to build the network again.
    facts = {
        "format": FORMAT,
        "encoder": dataclasses.asdict(network.encoder.config),
        "readout": network.readout,
        "temperature": network.temperature,
        "size": size,
        "segments": segments,
        "training": dict(training),
    }
    card.save(path, network.state_dict(), facts)


def load_model(path: Path) -> tuple[MugNetwork, dict[str, Any]]:
    """Read a complete network (in eval mode) and its card.

    Raises:
        InputError: See `densevos.models.card.load`; or the weights do not fit the card.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from densevos import load_model
    >>> from densevos.config import EncoderConfig
    >>> from densevos.models.mug import MugNetwork, save_model
    >>> path = Path(mkdtemp()) / "model.safetensors"
    >>> config = EncoderConfig(architecture="resnet18", last="res3")
    >>> untrained = MugNetwork(config, "conv", temperature=1.0)
    >>> save_model(path, untrained, size=160, segments=4, training={})  # as training does
    >>> network, card = load_model(path)
    >>> card["size"], network.training
    (160, False)
    """
    weights, facts = card.load(path, FORMAT, "model")
    try:
        config, temperature = read_config(path, facts), float(facts["temperature"])
        network = MugNetwork(config, facts["readout"], temperature)
        network.load_state_dict(weights)
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"{path}: weights do not fit the network that its card names; train it again"
        ) from error

    return network.eval(), facts


def _at_prior(head: nn.Conv2d, heads: int = 1) -> nn.Conv2d:
    """Give `head` the bias that makes PRIOR of the sum of so many heads, a logit."""
    assert head.bias is not None
    # The logit of PRIOR, shared among heads whose outputs are added.
    nn.init.constant_(head.bias, math.log(PRIOR / (1 - PRIOR)) / heads)
    return head


def pooled(features: Tensor) -> Tensor:
    """Average features [B,C,h,w] over 2 x 2 cells; a side of one cell keeps its length."""
    return F.avg_pool2d(features, 2, ceil_mode=True)


class ConvReadout(nn.Module):
    """nu as a single 1x1 convolution of r."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = _at_prior(nn.Conv2d(2 * VALUE, 1, 1))

    def forward(self, r: Tensor, stages: Mapping[str, Tensor]) -> Tensor:
        """r [B,256,h,w] -> logits [B,h,w]."""
        logits: Tensor = self.conv(r)[:, 0]
        return logits


class RefineReadout(nn.Module):
    """nu as in the release: r and the backbone's third and second stages, with large kernels."""

    def __init__(self, res2: int, res3: int):
        """Make the layers; `res2` and `res3` are the channels of these stages."""
        super().__init__()
        self.skip3 = nn.Sequential(nn.Conv2d(res3, 256, 1), ResidualBlock(256, 256))
        self.block3 = ResidualBlock(256, 128)
        self.skip2 = nn.Sequential(nn.Conv2d(res2, 128, 1), ResidualBlock(128, 128))
        self.block2 = ResidualBlock(128, 128)
        # Two branches of 7 x 7 kernels, each split into a column and a row to save weights.
        self.tall = nn.Sequential(
            nn.Conv2d(128, 256, (7, 1), padding=(3, 0)), nn.Conv2d(256, 64, (1, 7), padding=(0, 3))
        )
        self.wide = nn.Sequential(
            nn.Conv2d(128, 256, (1, 7), padding=(0, 3)), nn.Conv2d(256, 64, (7, 1), padding=(3, 0))
        )
        self.bn = nn.BatchNorm2d(64)
        # Three heads see the surroundings at three distances. Padding = dilation keeps the size.
        self.heads = nn.ModuleList(
            _at_prior(nn.Conv2d(64, 1, 3, padding=d, dilation=d), 3) for d in (6, 12, 18)
        )

    def forward(self, r: Tensor, stages: Mapping[str, Tensor]) -> Tensor:
        """r [B,256,h,w] and the backbone's stages of the same frames -> logits [B,h,w]."""
        # From deep to shallow: the third stage joins r, and the second stage joins the result.
        x = self.block3(r + self.skip3(stages["res3"]))
        x = self.block2(x + self.skip2(stages["res2"]))
        x = torch.relu(self.bn(self.tall(x) + self.wide(x)))
        return torch.stack([head(x)[:, 0] for head in self.heads]).sum(0)


class FineReadout(nn.Module):
    """nu with cells of 4 pixels: r is enlarged and joined by the second stage, then by the first.

    This readout is not in the paper. With cells of 8 pixels a mask cannot follow an outline. A
    backbone at stride 4 costs four times as much as one at stride 8; this readout costs a sixth
    more. It works with any stride of the encoder.
    """

    def __init__(self, res1: int, res2: int):
        """Make the layers; `res1` and `res2` are the channels of these stages."""
        super().__init__()
        # Channels shrink before maps are enlarged, because each enlargement means more cells.
        self.reduce = nn.Conv2d(2 * VALUE, 128, 1)
        self.skip2 = nn.Conv2d(res2, 128, 1)
        self.block2 = ResidualBlock(128, 128)
        self.narrow = nn.Conv2d(128, 64, 1)
        self.skip1 = nn.Conv2d(res1, 64, 1)
        self.block1 = ResidualBlock(64, 64)
        self.head = _at_prior(nn.Conv2d(64, 1, 3, padding=1))

    def forward(self, r: Tensor, stages: Mapping[str, Tensor]) -> Tensor:
        """r [B,256,h,w] and the backbone's stages of frames [B,3,H,W] -> logits [B,H/4,W/4]."""
        res1, res2 = stages["res1"], stages["res2"]
        # Twice: enlarge to the grid of a finer stage, add that stage, and refine.
        x = self.block2(_enlarged(self.reduce(r), res2) + self.skip2(res2))
        x = self.block1(_enlarged(self.narrow(x), res1) + self.skip1(res1))
        logits: Tensor = self.head(x)[:, 0]
        return logits


def _enlarged(features: Tensor, like: Tensor) -> Tensor:
    """Enlarge features [B,C,h,w] to the grid of others (bilinear)."""
    return F.interpolate(features, size=like.shape[-2:], mode="bilinear", align_corners=False)


class ResidualBlock(nn.Module):
    """3x3 convolution, BN, ReLU, 3x3 convolution and BN, added to the input.

    If widths differ, the input passes a 1x1 convolution first.
    """

    def __init__(self, channels: int, out: int):
        """Make the layers for `channels` in and `out` channels out."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
            nn.ReLU(),
            nn.Conv2d(out, out, 3, padding=1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.shortcut: nn.Module = nn.Identity()

        # The shortcut needs a convolution only to change the number of channels.
        if channels != out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, out, 1, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))
