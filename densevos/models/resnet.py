"""Dense ResNet trunks: torchvision's networks without classifier, kept at a fine output stride."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet50
from torchvision.models.resnet import BasicBlock, ResNet

ARCHITECTURES = {"resnet18": resnet18, "resnet50": resnet50}
STRIDES = (4, 8, 16, 32)


class DenseResNet(nn.Module):
    """ResNet-18 or -50 with output stride 4, 8, 16 or 32 and torchvision's parameter names.

    The stride is kept small by setting the strides of the last layers to 1 *without* dilating their
    convolutions, as the DUL release does (stride 8: layer3 and layer4).
    """

    def __init__(self, architecture: str, stride: int):
        super().__init__()
        network = ARCHITECTURES[architecture](weights=None)
        self.conv1, self.bn1 = network.conv1, network.bn1
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.layer3, self.layer4 = network.layer3, network.layer4
        self.channels = {"res3": _width(network, 3), "res4": _width(network, 4)}
        for layer, own_stride in ((self.layer2, 8), (self.layer3, 16), (self.layer4, 32)):
            if own_stride > stride:
                _keep_resolution(layer)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,3,H,W] -> layer4 features [B,C,H/stride,W/stride]."""
        return self.layer4(self.res3(frames))

    def res3(self, frames: Tensor) -> Tensor:
        """Frames [B,3,H,W] -> layer3 features (ReLU'd)."""
        x = torch.relu(self.bn1(self.conv1(frames)))
        x = nn.functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        return self.layer3(self.layer2(self.layer1(x)))


def _keep_resolution(layer: nn.Sequential) -> None:
    for convolution in _strided(layer[0]):
        convolution.stride = (1, 1)


def _strided(block: nn.Module) -> Iterator[nn.Conv2d]:
    for module in block.modules():
        if isinstance(module, nn.Conv2d) and module.stride == (2, 2):
            yield module


def _width(network: ResNet, layer: int) -> int:
    block = getattr(network, f"layer{layer}")[-1]
    return (block.conv2 if isinstance(block, BasicBlock) else block.conv3).out_channels
