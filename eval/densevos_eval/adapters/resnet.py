"""torchvision's ResNets as dense networks: layer3 and layer4 keep the resolution of layer2, stride
8.
"""

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet

STRIDE = 8
LAYERS = ("res2", "res3", "res4")
PARTS = ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4")


class DenseStages(nn.Module):
    """The stages of a ResNet under torchvision's parameter names, without its classifier.

    dilated: strides become dilation, so that every 2nd (4th) cell is exactly layer3 (layer4) of the
    network as it was, and trained filters keep their meaning; else strides are dropped, as CRW and
    DUL do. last: the last stage that there is.
    """

    def __init__(self, network: ResNet, *, dilated: bool, last: str = LAYERS[-1]):
        super().__init__()
        for part in PARTS:
            self.add_module(part, getattr(network, part))

        dilation = 1
        for layer in (network.layer3, network.layer4):
            dilation = _keep_resolution(layer, dilation if dilated else 0)

        for stage in LAYERS[LAYERS.index(last) + 1 :]:
            delattr(self, f"layer{stage[-1]}")

    def forward(self, frames: Tensor, layer: str) -> Tensor:
        """Frames [B,3,H,W] -> features of `layer`, one of LAYERS, [B,C,H/8,W/8]."""
        features = torch.relu(self.get_submodule("bn1")(self.get_submodule("conv1")(frames)))
        features = nn.functional.max_pool2d(features, kernel_size=3, stride=2, padding=1)
        for number in range(1, int(layer.removeprefix("res")) + 1):
            features = self.get_submodule(f"layer{number}")(features)

        return features


def untrained(name: str) -> ResNet:
    """A ResNet of torchvision's with weights that are the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.get_model(name, weights=None)


def _keep_resolution(layer: nn.Module, dilation: int) -> int:
    """Drop the strides of a layer, dilate its convolutions where `dilation` is not 0; the dilation
    behind it.
    """
    for block in layer.children():
        for name, convolution in block.named_children():
            if name == "downsample":
                convolution.get_submodule("0").stride = (1, 1)  # type: ignore[assignment]
            elif isinstance(convolution, nn.Conv2d):
                if dilation:
                    reach = dilation * (convolution.kernel_size[0] // 2)
                    convolution.dilation, convolution.padding = (dilation, dilation), (reach, reach)

                dilation *= convolution.stride[0]
                convolution.stride = (1, 1)

    return dilation
