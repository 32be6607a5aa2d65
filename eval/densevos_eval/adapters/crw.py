"""Released CRW snapshots (Jabri, Owens, Efros: Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020).

What is known of them: the weights of a ResNet-18 under torchvision's names, behind `encoder.` or `encoder.model.`.
Convolutions may carry a temporal axis of length 1 ([64,3,1,7,7]), and those with padding may be the second member
of a pair (`layer1.0.conv1.1.weight`) whose first reflects the border. Heads of the walk (`selfsim_*`) and the
classifier are not used. layer3 and layer4 keep the resolution of layer2 without dilation, as in DUL; borders are
reflected ahead of every padded convolution; the published evaluation compares layer3, stride 8.
"""

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from torch import Tensor, nn

from densevos.base.errors import InputError
from densevos.models.foreign import below, differences
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.resnet import LAYERS, STRIDE, DenseStages, untrained
from densevos_eval.adapters.weights import resnet_weights


def from_weights(weights: Mapping[str, Tensor], path: Path) -> Backbone:
    """The network of a snapshot: res2, res3 (default) and, where the snapshot holds layer4, res4."""
    trunk = {_plain(name): _flat(tensor) for name, tensor in resnet_weights(below(weights, "encoder."), path).items()}
    architecture = "resnet50" if "layer1.0.conv3.weight" in trunk else "resnet18"
    network = DenseStages(untrained(architecture), dilated=False)
    layers = [layer for layer in LAYERS if f"layer{layer[-1]}.0.bn1.weight" in trunk]
    if "res4" not in layers:
        network.layer4 = nn.Sequential()
    try:
        network.load_state_dict(trunk)
    except RuntimeError as error:
        reason = differences(trunk, network.state_dict()) or shortened(error)
        raise InputError(
            f"{path}: weights do not fit a {architecture} ({reason}); give a whole CRW snapshot"
        ) from error
    _reflect_borders(network)
    return Backbone(
        kind="released CRW snapshot",
        architecture=architecture,
        features=partial(_features, network, path),
        strides=dict.fromkeys(layers, STRIDE),
        default="res3",
        module=network,
        padded=False,
        files=(path,),
    )


def _features(network: DenseStages, path: Path, frames: Tensor, layer: str) -> Tensor:
    """The features of a layer; InputError for frames of a single row or column of cells: it has none to reflect."""
    height, width = frames.shape[2:]
    if min(height, width) <= STRIDE:
        raise InputError(f"{path}: reflects borders, so frames must have more than {STRIDE} rows and columns of pixels")
    return network(frames, layer)


def _plain(name: str) -> str:
    return re.sub(r"(conv\d)\.1\.", r"\1.", name)


def _flat(tensor: Tensor) -> Tensor:
    return tensor[:, :, 0] if tensor.ndim == 5 and tensor.shape[2] == 1 else tensor


def _reflect_borders(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size > (1, 1):
            module.padding_mode = "reflect"
