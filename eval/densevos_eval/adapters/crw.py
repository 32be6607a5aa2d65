"""Released CRW snapshots (Jabri, Owens, Efros: Space-Time Correspondence as a Contrastive Random
Walk, NeurIPS 2020).

What is known of them: the weights of a ResNet-18 under torchvision's names, behind `encoder.` or
`encoder.model.`. Convolutions may carry a temporal axis of length 1 ([64,3,1,7,7]), and those with
padding may be the second member of a pair (`layer1.0.conv1.1.weight`) whose first reflects the
border. Heads of the walk (`selfsim_*`) and the classifier are not used. layer3 and layer4 keep the
resolution of layer2 without dilation, as in DUL; borders are reflected ahead of every padded
convolution; the published evaluation compares layer3, stride 8.
"""

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
    """The network of a snapshot: res2, res3 (default) and, where the snapshot holds layer4,
    res4.
    """
    state = {
        _plain(name): tensor
        for name, tensor in resnet_weights(below(weights, "encoder."), path).items()
    }
    backbone = released_resnet(
        state, path, name="CRW", default="res3", prepare=partial(_check, path)
    )
    assert backbone.module is not None, "a released ResNet is a module"
    _reflect_borders(backbone.module)

    return backbone


def _check(path: Path, frames: Tensor) -> Tensor:
    """The frames; InputError for those of a single row or column of cells: it has none to
    reflect.
    """
    height, width = frames.shape[2:]
    if min(height, width) <= STRIDE:
        raise InputError(
            f"{path}: reflects borders, so frames must have more than {STRIDE} rows and columns of pixels"
        )

    return frames


def _plain(name: str) -> str:
    return re.sub(r"(conv\d)\.1\.", r"\1.", name)


def _reflect_borders(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size > (1, 1):
            module.padding_mode = "reflect"
