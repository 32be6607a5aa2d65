"""Released snapshots of CRW.

Source: Jabri, Owens, Efros: Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020.

They hold the weights of a ResNet-18 under torchvision's names, behind `encoder.` or
`encoder.model.`. Convolutions may have a temporal axis of length 1 ([64,3,1,7,7]). Those with
padding may be the second member of a pair (`layer1.0.conv1.1.weight`) whose first member reflects
the border. The heads of the walk (`selfsim_*`) and the classifier are not used.

As in DUL, layer3 and layer4 keep the resolution of layer2 without dilation. Borders are reflected
before every padded convolution. The published evaluation compares layer3 at stride 8.
"""

# Shapes: B batch, H x W pixels of a frame.

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from densevos.base.errors import InputError
from densevos.models.foreign import below
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.resnet import STRIDE
from densevos_eval.adapters.stages import released_resnet
from densevos_eval.adapters.weights import resnet_weights


def from_weights(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """The network of a snapshot.

    Args:
        weights: Weights with the names of the snapshot.
        path: The snapshot, for messages.

    Returns:
        A backbone with the layers res2, res3 (default) and, if the snapshot holds layer4, res4.

    Raises:
        InputError: The weights are not those of a ResNet.
    """
    resnet = resnet_weights(below(weights, "encoder."), path)
    state = {_plain(name): tensor for name, tensor in resnet.items()}
    backbone = released_resnet(
        state, path, name="CRW", default="res3", prepare=partial(_check, path)
    )
    assert backbone.module is not None, "a released ResNet is a module"
    _reflect_borders(backbone.module)

    return backbone


def _check(path: Path, frames: Tensor) -> Tensor:
    """The frames [B,3,H,W]; InputError if they are too small to reflect their borders."""
    # A single row or column of cells has no neighbour that could be reflected.
    height, width = frames.shape[2:]
    if min(height, width) <= STRIDE:
        raise InputError(
            f"{path}: reflects borders, so frames must have more than {STRIDE} rows and columns "
            "of pixels"
        )

    return frames


def _plain(name: str) -> str:
    """The name of a weight without its place in a pair."""
    return re.sub(r"(conv\d)\.1\.", r"\1.", name)


def _reflect_borders(network: nn.Module) -> None:
    """Let every convolution with a kernel larger than 1x1 reflect the border."""
    # padding_mode does in the convolution what the first member of a pair does before it.
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size > (1, 1):
            module.padding_mode = "reflect"
