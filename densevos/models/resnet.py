"""Dense ResNet trunks: torchvision's networks without classifier, kept at a fine output stride."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50, resnet101
from torchvision.models.resnet import BasicBlock

ARCHITECTURES = {"resnet18": resnet18, "resnet50": resnet50, "resnet101": resnet101}
STRIDES = (4, 8, 16, 32)
Stage = Literal["res1", "res2", "res3", "res4"]


class DenseResNet(nn.Module):
    """ResNet-18, -50 or -101 up to `last`, with output stride 4, 8, 16 or 32 and torchvision's
    parameter names.

    The stride is kept small by setting the strides of the last layers to 1: as the DUL release does
    (stride 8: layer3 and layer4) *without* dilating their convolutions, or with dilations that keep
    the receptive field (`dilated`).
    """

    def __init__(
        self, architecture: str, stride: int, *, last: Stage = "res4", dilated: bool = False
    ):
        super().__init__()
        network = ARCHITECTURES[architecture](weights=None)
        self.conv1, self.bn1, self.last = network.conv1, network.bn1, last
        self.layer1, self.layer2, self.layer3 = network.layer1, network.layer2, network.layer3
        if last == "res4":
            self.layer4 = network.layer4

        self.channels = {"res1": _width(network.layer1)} | {
            stage: _width(layer) for stage, layer in self._stages()
        }
        dilation = 1

        for (_, layer), own_stride in zip(self._stages(), (8, 16, 32), strict=False):
            if own_stride > stride:
                _keep_resolution(layer)
                if dilated:
                    _dilate(layer, dilation, 2 * dilation)
                    dilation *= 2

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,3,H,W] -> features [B,C,H/stride,W/stride] of the last stage."""
        return self.stages(frames)[self.last]

    def stages(self, frames: Tensor, last: Stage | None = None) -> dict[str, Tensor]:
        """Frames [B,3,H,W] -> features (ReLU'd) of res1 (always at stride 4), res2, res3, ... up to
        `last`.
        """
        x = torch.relu(self.bn1(self.conv1(frames)))
        x = self.layer1(nn.functional.max_pool2d(x, kernel_size=3, stride=2, padding=1))
        found = {"res1": x}
        if last == "res1":
            return found

        for stage, layer in self._stages():
            x = found[stage] = layer(x)
            if stage == last:
                break

        return found

    def _stages(self) -> list[tuple[str, nn.Sequential]]:
        stages = [("res2", self.layer2), ("res3", self.layer3)]
        return [*stages, ("res4", self.layer4)] if self.last == "res4" else stages


def _keep_resolution(layer: nn.Sequential) -> None:
    for convolution in _convolutions(layer[0]):
        if convolution.stride == (2, 2):
            convolution.stride = (1, 1)


def _dilate(layer: nn.Sequential, first: int, others: int) -> None:
    """Spread the 3x3 convolutions of a layer that lost its stride; its first block still sees the
    finer grid's step.
    """
    for block, dilation in zip(layer, [first] + [others] * (len(layer) - 1), strict=True):
        for convolution in _convolutions(block):
            if convolution.kernel_size == (3, 3):
                convolution.dilation = convolution.padding = (dilation, dilation)


def _convolutions(block: nn.Module) -> Iterator[nn.Conv2d]:
    yield from (module for module in block.modules() if isinstance(module, nn.Conv2d))


def _width(layer: nn.Sequential) -> int:
    last = list(
        _convolutions(layer[-1])
    )  # a block's own convolutions come before those of its shortcut
    return last[1 if isinstance(layer[-1], BasicBlock) else 2].out_channels
