"""Initial weights of segmentation networks.

Weights are of COCO (DeepLabV3), of ADE20k (Swin + UperNet), of a model that densevos trained, or of
an encoder alone. Such an encoder has learned ImageNet's classes, or was trained by densevos.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from densevos.base.errors import InputError
from densevos.config.image_to_video import NetworkConfig
from densevos.models import card
from densevos.models.efficientnet import LITE0, imagenet_file
from densevos.models.foreign import UnreadableError, of_network
from densevos.models.pretrained import (
    UnreachableError,
    encoder_config,
    local_state,
    torchvision_state,
)
from densevos.models.segmentation.base import SegmentationNetwork
from densevos.models.segmentation.inflation import inflate, renamed
from densevos.models.segmentation.mmseg import from_mmseg, is_mmseg

FLAG = "--network.weights"
IMAGENET = "imagenet"
"""ImageNet weights for the encoder of deeplabv3."""
KEPT = ("model.safetensors", "encoder.safetensors")
"""What a run folder holds: a segmentation model or an encoder."""
LAST_STAGE = "backbone.layer4."
"""The last stage of a ResNet; an encoder can end before it."""
USUAL = "openmmlab/upernet-swin-"
"""Start of the names of ADE20k weights on the hub of transformers."""
COUNTERS = ("relative_position_index", "num_batches_tracked")
"""Ends of the names of buffers that hold no weights."""
UNUSED = ("auxiliary_head.", "aux_classifier.", "backbone.swin.layernorm.", "fc.")
"""Starts of the names of weights that the networks here do not have."""
OLDER_SWIN = (
    (r"^backbone\.(embeddings|encoder)\.", r"backbone.swin.\1."),
    (r"attention\.self\.(query|key|value)\.", lambda match: f"attention.{match[1][0]}_proj."),
    (
        r"attention\.self\.relative_position_bias_table",
        "attention.relative_position_bias.relative_position_bias_table",
    ),
    (r"attention\.output\.dense", "attention.o_proj"),
    (r"intermediate\.dense", "mlp.fc1"),
    (r"\.output\.dense", ".mlp.fc2"),
)
"""Patterns of transformers' names before version 5, which files on its hub have."""


def load_initial(
    network: SegmentationNetwork, config: NetworkConfig, classes: Sequence[str] | None = None
) -> str | None:
    """Fill a network with its configuration's weights.

    All weights of the encoder must be present, except the last stage of a ResNet, which an encoder
    of densevos can lack. The decoder's can be of another number of classes or, as in a classifier,
    missing. Missing weights stay random, and so do all if the usual weights cannot be downloaded.

    Args:
        network: The network to fill.
        config: Its configuration.
        classes: Names of its classes; None if they do not matter.

    Returns:
        Which parts start from random weights, in words; None if all weights are filled.

    Raises:
        InputError: The weights are unknown, are a file that cannot be read, or are of another
            encoder; or a model of densevos has the same number of classes, but other classes.
    """
    try:
        # Weights under the network's names; a failed download must not keep a run from starting.
        state = _of_architecture(_read(config), config, network)
    except UnreachableError as error:
        return (
            f"{config.weights} cannot be fetched: a new run starts from random weights"
            f" ({error.reason})"
        )

    # Tensors of another shape count as missing, such as a last layer for other classes.
    own = network.state_dict()
    fitting = [name for name in own if name in state and state[name].shape == own[name].shape]
    loaded = set(fitting)
    missing = [name for name in own if name not in loaded and not name.endswith(COUNTERS)]
    in_encoder = [name for name in missing if not name.startswith(f"{network.head_name}.")]

    # An encoder may end before the last stage, but it must not lack a part of it.
    ends_early = not any(name.startswith(LAST_STAGE) for name in state)
    for name in in_encoder:
        if not (ends_early and name.startswith(LAST_STAGE)):
            raise InputError(f"{FLAG} {config.weights}: {_misfit(config, name)}")

    # Only a model that densevos trained has a card with classes.
    facts = _card(config)
    if "classes" in facts:
        _check_own_model(facts, config, classes, unknown=set(state) - set(own))

    # The names were checked above; what is missing stays random.
    network.load_state_dict({name: state[name] for name in fitting}, strict=False)
    return _random_parts(network, config, state, missing, encoder_is_complete=not in_encoder)


def _random_parts(
    network: SegmentationNetwork,
    config: NetworkConfig,
    state: Mapping[str, Tensor],
    missing: Sequence[str],
    *,
    encoder_is_complete: bool,
) -> str | None:
    """Which parts of a network start from random weights, by the names that are `missing`."""
    if not missing:
        return None

    if not encoder_is_complete:
        return (
            f"{config.weights} ends before layer4:"
            " that stage and the decoder start from random weights"
        )

    # A classifier of other classes is the usual case, and gets a message of its own.
    classifier = f"{network.classifier_name}."
    last = f"{classifier}weight"
    if last in state and all(name.startswith(classifier) for name in missing):
        return (
            f"{config.weights} has {len(state[last])} classes, not {network.classes}:"
            " the last layer starts from random weights"
        )

    return (
        f"{config.weights} has no decoder that fits:"
        f" {len(missing)} of its tensors start from random weights"
    )


def _card(config: NetworkConfig) -> Mapping[str, Any]:
    """The card of a model that densevos trained; empty for other weights."""
    file = _local_file(config.weights or "")
    # Only safetensors files have a card.
    if file is None or file.suffix != ".safetensors":
        return {}

    return card.read(file, "model")


def _check_own_model(
    facts: Mapping[str, Any],
    config: NetworkConfig,
    classes: Sequence[str] | None,
    *,
    unknown: Collection[str],
) -> None:
    """Raise InputError if a densevos model has layers that a network lacks, or other classes.

    Another number of classes is no error, because then the last layer is not loaded.
    """
    # Layers that this network lacks mean other --network options; their loss would go unnoticed.
    extra = sorted(name for name in unknown if not name.endswith(COUNTERS))
    if extra:
        raise InputError(
            f"{FLAG} {config.weights}: is not of this {config.architecture}, which has no "
            f"{extra[0]}; give the --network options that it was trained with"
        )

    # Equal numbers of classes load without an error, even if the ids mean something else.
    theirs = tuple(facts["classes"])
    if classes is not None and len(theirs) == len(classes) and theirs != tuple(classes):
        # The first class that differs is enough to see which list is wrong.
        differing = [k for k, name in enumerate(theirs) if name != classes[k]]
        first = differing[0]
        raise InputError(
            f"{FLAG} {config.weights}: its class {first} is {theirs[first]}, and that of --labelled"
            f" is {classes[first]}; name the classes that it knows with --wanted, or give other"
            " weights"
        )


def _misfit(config: NetworkConfig, parameter: str) -> str:
    """Why weights do not fit a network's encoder, and what to do; a card makes it exact."""
    file = _local_file(config.weights or "")
    theirs = encoder_config(file) if file else None
    if theirs is None:
        return (
            f"is not of this {config.architecture} ({parameter} does not fit); "
            "give the architecture that it was trained with"
        )

    backbone = theirs.get("architecture")
    return (
        f"is an encoder of {backbone}; "
        f"give --network.architecture deeplabv3 --network.backbone {backbone}"
    )


def _read(config: NetworkConfig) -> dict[str, Tensor]:
    """The weights that a configuration names, under the names that their source gives them."""
    name = config.weights or ""
    # A name can stand for ImageNet weights, a file or run folder, torchvision's weights, or a model
    # on the hub, in this order.
    if config.architecture == "deeplabv3" and name == IMAGENET:
        return _imagenet_state(config)

    file = _local_file(name)
    if file is not None:
        # A run that was stopped early has its folder, but no finished model.
        if Path(name).is_dir() and not file.exists():
            raise InputError(
                f"{FLAG} {name}: holds no {file.name}; "
                "finish its training with --resume auto, or give another folder"
            )

        return local_state(file, FLAG)

    if config.architecture == "deeplabv3":
        if config.backbone == LITE0:
            raise InputError(
                f"{FLAG} {name}: unknown; {LITE0} has {IMAGENET}, or give a file, or None"
            )

        # Weights of ImageNet are those of the backbone, all others of the complete network.
        architecture = f"deeplabv3_{config.backbone}"
        if name.startswith("IMAGENET"):
            architecture = config.backbone

        return torchvision_state(architecture, name, FLAG)

    return _hub_state(name)


def _local_file(name: str) -> Path | None:
    """The file, or the file in a run folder; None if `name` is the name of weights elsewhere."""
    path = Path(name)
    if path.is_dir():
        for kept in KEPT:
            if (path / kept).is_file():
                return path / kept

        # A folder with neither file still counts as a run folder; `_read` says what it lacks.
        return path / KEPT[0]

    # A suffix marks a file name even if no such file exists, so that the message says so.
    return path if path.suffix or path.is_file() else None


def _imagenet_state(config: NetworkConfig) -> dict[str, Tensor]:
    """ImageNet weights of a backbone."""
    # torchvision has no such network, so its weights come in a package of their own.
    if config.backbone == LITE0:
        return local_state(imagenet_file(f"{FLAG} {IMAGENET}"), FLAG)
    return torchvision_state(config.backbone, "IMAGENET1K_V1", FLAG)


def _hub_state(name: str) -> dict[str, Tensor]:
    """Weights from the hub of transformers."""
    try:
        # The hub's client is an optional dependency.
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import (
            HFValidationError,
            RemoteEntryNotFoundError,
            RepositoryNotFoundError,
        )
    except ImportError as error:
        raise InputError(
            f"{FLAG} {name}: needs huggingface_hub; pip install 'densevos[segmentation]'"
        ) from error

    # Older models on the hub have no safetensors file.
    try:
        try:
            file = hf_hub_download(name, "model.safetensors")
        except RemoteEntryNotFoundError:
            file = hf_hub_download(name, "pytorch_model.bin")
    except (HFValidationError, RepositoryNotFoundError, RemoteEntryNotFoundError) as error:
        raise InputError(
            f"{FLAG} {name}: the hub has none; give {USUAL}tiny or a local file"
        ) from error
    except (OSError, ValueError) as error:
        unreachable = UnreachableError(FLAG, name, error)
        if name.startswith(USUAL):
            raise unreachable from error

        # Any other name may be a mistyped file name, so the run must not start without it.
        raise InputError(str(unreachable)) from error

    return local_state(Path(file), FLAG)


def _of_architecture(
    state: dict[str, Tensor], config: NetworkConfig, network: SegmentationNetwork
) -> dict[str, Tensor]:
    """Weights under the names of the configuration's network.

    These can be older names of transformers, names of mmsegmentation, a backbone alone, or weights
    of the 2D network for the 3D one.
    """
    # Some weights of the source, such as an auxiliary head, have no place here.
    state = {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED)}
    if config.architecture == "deeplabv3":
        # A complete DeepLab names its backbone; anything else must be a backbone alone.
        if any(name.startswith("backbone.") for name in state):
            return state

        try:
            backbone = of_network(state, network.get_submodule("backbone").state_dict())
        except UnreadableError as error:
            raise InputError(f"{FLAG} {config.weights}: {error}") from error

        return {f"backbone.{name}": tensor for name, tensor in backbone.items()}

    # 2D Swins come from several programs; all get the names of transformers.
    if is_mmseg(state):
        state = from_mmseg(state)

    named = {}
    for name, tensor in state.items():
        if not name.endswith("relative_position_index"):
            named[renamed(name, OLDER_SWIN)] = tensor

    # Files of the 3D network have no such names, because its backbone is torchvision's.
    is_2d = any(name.startswith("backbone.swin.") for name in named)
    if is_2d and config.architecture == "video_swin":
        return inflate(named, config.clip_frames)

    return named
