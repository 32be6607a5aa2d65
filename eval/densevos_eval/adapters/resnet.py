"""torchvision's ResNets as dense networks: layer3 and layer4 keep the stride of layer2, 8."""

# Shapes: B batch, H x W pixels of a frame, C channels of a feature.

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet

STRIDE = 8
"""Pixels per cell of every layer."""

LAYERS = ("res2", "res3", "res4")
"""Names of the layers that are offered: the outputs of layer2, layer3 and layer4."""

PARTS = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")
"""Modules of a ResNet in torchvision, without the classifier."""


class DenseStages(nn.Module):
    """The stages of a ResNet under torchvision's parameter names, without its classifier.

    Args:
        network: The ResNet, whose modules are taken and changed.
        dilated: Whether strides become dilation. Then every 2nd (4th) cell is exactly layer3
            (layer4) of the original network, and trained filters keep their meaning. If not,
            strides are dropped, as CRW and DUL do.
        last: The last stage to keep, one of LAYERS.
    """

    def __init__(self, network: ResNet, *, dilated: bool, last: str = LAYERS[-1]):
        super().__init__()
        for part in PARTS:
            self.add_module(part, getattr(network, part))

        # layer4 is dilated for the dropped stride of layer3 too.
        dilation = 1
        for layer in (network.layer3, network.layer4):
            dilation = _keep_resolution(layer, dilation if dilated else 0)

        # Later stages are removed, so that their weights need not be loaded.
        for stage in LAYERS[LAYERS.index(last) + 1 :]:
            delattr(self, f"layer{stage[-1]}")

    def forward(self, frames: Tensor, layer: str) -> Tensor:
        """Features [B,C,H/8,W/8] of a layer, one of LAYERS, from frames [B,3,H,W]."""
        # The first convolution and the pooling halve the sides; layer1 keeps them: stride 4.
        features = torch.relu(self.get_submodule("bn1")(self.get_submodule("conv1")(frames)))
        features = nn.functional.max_pool2d(features, kernel_size=3, stride=2, padding=1)
        for number in range(1, int(layer.removeprefix("res")) + 1):
            features = self.get_submodule(f"layer{number}")(features)

        return features


def untrained(name: str) -> ResNet:
    """A ResNet of torchvision with random weights, always the same ones."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.get_model(name, weights=None)


def _keep_resolution(layer: nn.Module, dilation: int) -> int:
    """Drop the strides of a layer; return the dilation that the next layer needs.

    dilation: Dilation of the layer's convolutions; 0 leaves them undilated.
    """
    for block in layer.children():
        for name, convolution in block.named_children():
            # The convolution of the shortcut has a kernel of 1x1, which needs no dilation.
            if name == "downsample":
                convolution.get_submodule("0").stride = (1, 1)  # type: ignore[assignment]
            elif isinstance(convolution, nn.Conv2d):
                # A dilated kernel reaches further, so it needs more padding.
                if dilation:
                    reach = dilation * (convolution.kernel_size[0] // 2)
                    convolution.dilation, convolution.padding = (dilation, dilation), (reach, reach)

                # Dilated by a dropped stride, later filters reach as far as before.
                dilation *= convolution.stride[0]
                convolution.stride = (1, 1)

    return dilation
