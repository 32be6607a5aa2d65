"""torchvision's ResNets: torchvision:NAME[@LAYER][:WEIGHTS].

The weights are torchvision's or come from a file.
"""

from pathlib import Path

import torchvision
from torch import Tensor
from torchvision.models import ResNet, Weights

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, STD
from densevos.models.foreign import differences
from densevos_eval.adapters.backbone import Backbone, shortened
from densevos_eval.adapters.normalisation import Triple
from densevos_eval.adapters.resnet import LAYERS, STRIDE, DenseStages, untrained
from densevos_eval.adapters.weights import is_file, read_weights, resnet_weights

NAMES = sorted(
    name for name in torchvision.models.list_models(torchvision.models) if "resne" in name
)
"""Names of torchvision's ResNets, ResNeXts (resnext50_32x4d) included."""


def load(name: str, weights: str | None, of: str | None = None) -> Backbone:
    """Load a ResNet, dilated to stride 8, with the layers res2, res3 and res4 (default).

    Args:
        name: Name of the network in torchvision.
        weights: Name of weights of torchvision, which are downloaded once (DEFAULT when left out);
            a local .pth or .safetensors file of the same network; or none for an untrained one.
        of: Which of several networks in the file to take.

    Raises:
        InputError: A name is unknown, or weights cannot be fetched or do not fit.
    """
    spec = f"torchvision:{name}" + (f":{weights}" if weights else "")
    if name not in NAMES:
        raise InputError(
            f"--encoder {spec}: no ResNet of torchvision's; "
            f"choose {', '.join(NAMES)}, or use timm:NAME"
        )

    network = untrained(name)
    mean, std = MEAN, STD
    file: Path | None = None
    if weights and is_file(weights):
        file = Path(weights)

    # Weights from a file, those that torchvision publishes, or random ones (none).
    if file:
        _fill(network, read_weights(file, of), file, name)
    elif weights != "none":
        published = _published(name, weights or "DEFAULT", spec)
        mean, std = _normalisation(published)
        # Messages about published weights name the encoder, in place of a file.
        _fill(network, _downloaded(published, name, spec), Path(spec), name)

    # These networks were trained with strides, so dilation must keep the meaning of their filters.
    dense = DenseStages(network, dilated=True)
    return Backbone(
        kind="torchvision",
        architecture=name,
        features=dense,
        strides=dict.fromkeys(LAYERS, STRIDE),
        default="res4",
        module=dense,
        padded=False,
        mean=mean,
        std=std,
        files=(file,) if file else (),
    )


def _published(name: str, weights: str, spec: str) -> Weights:
    """Weights that torchvision publishes under a name."""
    names = torchvision.models.get_model_weights(name).__members__
    if weights not in names:
        raise InputError(
            f"--encoder {spec}: no such weights; choose {', '.join(names)}, "
            "a local .pth or .safetensors file, or none"
        )

    return names[weights]


def _downloaded(published: Weights, name: str, spec: str) -> dict[str, Tensor]:
    """The tensors of published weights, from torchvision's cache or its server."""
    try:
        # The name of each file has its hash, so a damaged download is noticed.
        return dict(published.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"--encoder {spec}: weights cannot be fetched from {published.url} "
            f"({shortened(error)}); download them elsewhere and give torchvision:{name}:FILE.pth, "
            "or random:resnet18 for an untrained network"
        ) from error


def _normalisation(published: Weights) -> tuple[Triple, Triple]:
    """Mean and standard deviation that published weights were trained with."""
    transforms = published.transforms()
    return tuple(transforms.mean), tuple(transforms.std)


def _fill(network: ResNet, weights: dict[str, Tensor], source: Path, name: str) -> None:
    """Load weights into a network. Its classifier is not used and keeps its values."""
    state = resnet_weights(weights, source)
    # Loading is strict, so the names of the classifier must be there.
    for key, tensor in network.state_dict().items():
        if key.startswith("fc."):
            state[key] = tensor

    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        reason = differences(state, network.state_dict()) or shortened(error)
        raise InputError(
            f"{source}: weights do not fit torchvision's {name} ({reason}); "
            "name the network they belong to"
        ) from error
