"""Dense ResNet backbones: torchvision's networks without classifier, at a fine output stride."""

# Shapes: B frames of H x W pixels, C channels.

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
    """ResNet-18, -50 or -101 up to a stage, with torchvision's parameter names.

    The strides of the last layers become 1, so that the output stride is small: for stride 8 those
    of layer3 and layer4. The DUL release does *not* dilate their convolutions. With `dilated` they
    are dilated, which keeps the receptive field.
    """

    def __init__(
        self, architecture: str, stride: int, *, last: Stage = "res4", dilated: bool = False
    ):
        """Make the network with random weights.

        Args:
            architecture: A key of ARCHITECTURES.
            stride: Output stride, one of STRIDES.
            last: The last stage.
            dilated: Dilate the convolutions of layers that lost their stride.
        """
        super().__init__()
        network = ARCHITECTURES[architecture](weights=None)
        self.conv1, self.bn1, self.last = network.conv1, network.bn1, last
        self.layer1, self.layer2, self.layer3 = network.layer1, network.layer2, network.layer3
        if last == "res4":
            self.layer4 = network.layer4

        self.channels = {"res1": _width(network.layer1)}
        for stage, layer in self._stages():
            self.channels[stage] = _width(layer)

        # The output strides of torchvision's layers. The zip ends with the last stage that is kept.
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
        """The features of the stages, after their ReLU.

        Args:
            frames: [B,3,H,W], normalised.
            last: The last stage to compute; None for all.

        Returns:
            [B,C,h,w] by stage: res1 (always at stride 4), res2, res3 and so on.
        """
        x = torch.relu(self.bn1(self.conv1(frames)))
        x = self.layer1(nn.functional.max_pool2d(x, kernel_size=3, stride=2, padding=1))
        features = {"res1": x}
        if last == "res1":
            return features

        for stage, layer in self._stages():
            x = features[stage] = layer(x)
            if stage == last:
                break

        return features

    def _stages(self) -> list[tuple[str, nn.Sequential]]:
        stages = [("res2", self.layer2), ("res3", self.layer3)]
        if self.last == "res4":
            stages.append(("res4", self.layer4))

        return stages


def _keep_resolution(layer: nn.Sequential) -> None:
    """Set the strides of a layer's first block, the only ones above 1, to 1."""
    for convolution in _convolutions(layer[0]):
        if convolution.stride == (2, 2):
            convolution.stride = (1, 1)


def _dilate(layer: nn.Sequential, first: int, others: int) -> None:
    """Dilate the 3x3 convolutions of a layer that lost its stride."""
    # The stride would have acted within the first block, so that block still has the dilation of
    # the layer before.
    for index, block in enumerate(layer):
        dilation = first if index == 0 else others
        for convolution in _convolutions(block):
            if convolution.kernel_size == (3, 3):
                convolution.dilation = convolution.padding = (dilation, dilation)


def _convolutions(block: nn.Module) -> Iterator[nn.Conv2d]:
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            yield module


def _width(layer: nn.Sequential) -> int:
    """The number of channels after a layer."""
    block = layer[-1]
    # A basic block ends with its second convolution, a bottleneck with its third. Those of the
    # shortcut come after them.
    last = 1 if isinstance(block, BasicBlock) else 2
    return list(_convolutions(block))[last].out_channels
