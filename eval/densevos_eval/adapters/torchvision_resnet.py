"""torchvision's ResNets with weights of torchvision's or of one's own:
torchvision:NAME[@LAYER][:WEIGHTS].
"""

from pathlib import Path

import torchvision
from torch import Tensor
from torchvision.models import ResNet, Weights

from densevos.base.errors import InputError
from densevos.models.encoder import MEAN, STD
from densevos.models.foreign import differences
from densevos_eval.adapters.backbone import Backbone, Triple, shortened
from densevos_eval.adapters.resnet import LAYERS, STRIDE, DenseStages, untrained
from densevos_eval.adapters.weights import is_file, read_weights, resnet_weights

NAMES = sorted(
    name for name in torchvision.models.list_models(torchvision.models) if "resne" in name
)


def load(name: str, weights: str | None, of: str | None = None) -> Backbone:
    """A ResNet, dilated to stride 8, with layers res2, res3 and res4 (default).

    weights: a name of torchvision's (DEFAULT when left out; downloaded once), a local .pth or
    .safetensors of the same network, or none for an untrained one.
    of: which of the networks in the file.

    Raises InputError for unknown names, and where weights cannot be fetched or do not fit.
    """
    spec = f"torchvision:{name}" + (f":{weights}" if weights else "")
    if name not in NAMES:
        raise InputError(
            f"--encoder {spec}: no ResNet of torchvision's; choose {', '.join(NAMES)}, or use timm:NAME"
        )

    network = untrained(name)
    mean, std = MEAN, STD
    file = Path(weights) if weights and is_file(weights) else None

    if file:
        _fill(network, read_weights(file, of), file, name)
    elif weights != "none":
        published = _published(name, weights or "DEFAULT", spec)
        mean, std = _normalisation(published)
        _fill(network, _fetched(published, name, spec), Path(spec), name)

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
    names = torchvision.models.get_model_weights(name).__members__
    if weights not in names:
        raise InputError(
            f"--encoder {spec}: no such weights; choose {', '.join(names)}, a local .pth or .safetensors file, or none"
        )

    return names[weights]


def _fetched(published: Weights, name: str, spec: str) -> dict[str, Tensor]:
    try:
        return dict(published.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"--encoder {spec}: weights cannot be fetched from {published.url} ({shortened(error)}); download them "
            f"elsewhere and give torchvision:{name}:FILE.pth, or random:resnet18 for an untrained network"
        ) from error


def _normalisation(published: Weights) -> tuple[Triple, Triple]:
    transforms = published.transforms()
    return tuple(transforms.mean), tuple(transforms.std)  # type: ignore[return-value]


def _fill(network: ResNet, weights: dict[str, Tensor], source: Path, name: str) -> None:
    classifier = {
        key: tensor for key, tensor in network.state_dict().items() if key.startswith("fc.")
    }
    state = {**resnet_weights(weights, source), **classifier}

    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"{source}: weights do not fit torchvision's {name} "
            f"({differences(state, network.state_dict()) or shortened(error)}); name the network they are of"
        ) from error
