"""Released ResNets whose last stages keep the resolution of layer2 without dilation.

CRW, VFS, UVC and TimeCycle are such networks.
"""

# Shapes: B batch, H x W pixels of a frame or of a kernel, O and I channels of a kernel.

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.foreign import differences
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.resnet import LAYERS, STRIDE, DenseStages, untrained


def released_resnet(
    weights: Mapping[str, Tensor],
    path: Path,
    *,
    name: str,
    default: str,
    layers: tuple[str, ...] = LAYERS,
    colour: Literal["rgb", "lab"] = "rgb",
    prepare: Callable[[Tensor], Tensor] | None = None,
) -> Backbone:
    """The network of a snapshot, at stride 8.

    Args:
        weights: Weights of a ResNet under torchvision's names. Kernels [O,I,1,H,W] of one frame
            become kernels of images.
        path: The snapshot, for messages.
        name: Name of the method.
        default: The layer that the published evaluation compares.
        layers: Layers that have learned. Those that `weights` lacks are left out.
        colour: Colours that frames are converted to before they are normalised.
        prepare: Applied to normalised frames [B,3,H,W] before the network sees them.

    Raises:
        InputError: The weights are not those of a ResNet-18 or ResNet-50.
    """
    # Stages after the last one that is offered are not built, and their weights are not used.
    stages = {stage for stage in LAYERS if f"layer{stage[-1]}.0.bn1.weight" in weights}
    # Names of stages sort like their numbers. Without any stage res2 is built all the same, so that
    # loading reports what is missing.
    last = max([*stages.intersection(layers), LAYERS[0]])
    unused = tuple(f"layer{stage[-1]}." for stage in LAYERS if stage > last)
    state = {key: _flat(tensor) for key, tensor in weights.items() if not key.startswith(unused)}

    # Only bottleneck blocks have a third convolution.
    architecture = "resnet50" if "layer1.0.conv3.weight" in state else "resnet18"
    network = DenseStages(untrained(architecture), dilated=False, last=last)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = differences(state, network.state_dict()) or shortened(error)
        raise InputError(
            f"{path}: weights do not fit a {architecture} ({reason}); give a whole {name} snapshot"
        ) from error

    def features(frames: Tensor, layer: str) -> Tensor:
        stage: Tensor = network(prepare(frames) if prepare else frames, layer)
        return stage

    return Backbone(
        kind=f"released {name} snapshot",
        architecture=architecture,
        features=features,
        strides={layer: STRIDE for layer in layers if layer <= last},
        default=default,
        module=network,
        colour=colour,
        padded=False,
        files=(path,),
    )


def _flat(tensor: Tensor) -> Tensor:
    """A kernel [O,I,1,H,W] of one frame as one of images, [O,I,H,W]; other tensors as they are."""
    if tensor.ndim == 5 and tensor.shape[2] == 1:
        return tensor[:, :, 0]

    return tensor
