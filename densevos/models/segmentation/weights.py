"""Initial weights of segmentation networks: of COCO (DeepLabV3), of ADE20k (Swin + UperNet), or of
an encoder alone.

An encoder is one that learned ImageNet's classes, or one of our own.
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
IMAGENET = "imagenet"  # of the encoder of deeplabv3
KEPT = ("model.safetensors", "encoder.safetensors")  # by runs, a segmentation model or an encoder
LAST_STAGE = "backbone.layer4."  # of a ResNet; encoders may end before it
USUAL = "openmmlab/upernet-swin-"  # of ADE20k, on the hub of transformers
COUNTERS = ("relative_position_index", "num_batches_tracked")  # made anew, or of no weight
UNUSED = ("auxiliary_head.", "aux_classifier.", "backbone.swin.layernorm.", "fc.")
OLDER_SWIN = (
    (r"^backbone\.(embeddings|encoder)\.", r"backbone.swin.\1."),
    (r"attention\.self\.(query|key|value)\.", lambda found: f"attention.{found[1][0]}_proj."),
    (
        r"attention\.self\.relative_position_bias_table",
        "attention.relative_position_bias.relative_position_bias_table",
    ),
    (r"attention\.output\.dense", "attention.o_proj"),
    (r"intermediate\.dense", "mlp.fc1"),
    (r"\.output\.dense", ".mlp.fc2"),
)
"""Names of transformers before version 5, which files on its hub have."""


def load_initial(
    network: SegmentationNetwork, config: NetworkConfig, classes: Sequence[str] | None = None
) -> str | None:
    """Fill `network` with the weights that its configuration names, and say what stays random, if
    anything.

    The encoder's must all be there, but for the last stage of a ResNet, which an encoder of our own
    may lack. The decoder's may be of another number of classes, or missing, as in weights of a
    classifier. What is missing keeps its random weights, and so does the whole network if the usual
    weights cannot be downloaded.

    Args:
        network: The network to fill.
        config: Its configuration.
        classes: Names of its classes; None if they do not matter.

    Raises:
        InputError: The weights are unknown, are a file that cannot be read, or are of another
            encoder; or a model that was trained here has as many classes, but others.
    """
    try:
        state = _of_architecture(_read(config), config, network)
    except UnreachableError as error:
        return f"{config.weights} cannot be fetched: a run that begins now begins at random ({error.reason})"

    own = network.state_dict()
    fitting = {n: t for n, t in own.items() if n in state and state[n].shape == t.shape}
    lost = [name for name in own if name not in fitting and not name.endswith(COUNTERS)]
    encoder = [name for name in lost if not name.startswith(f"{network.head_name}.")]
    ends_early = not any(name.startswith(LAST_STAGE) for name in state)
    misfits = [name for name in encoder if not (ends_early and name.startswith(LAST_STAGE))]
    if misfits:
        raise InputError(f"{FLAG} {config.weights}: {_misfit(config, misfits[0])}")

    facts = _card(config)
    if "classes" in facts:
        _check_own_model(facts, config, classes, unknown=set(state) - set(own))

    network.load_state_dict({name: state[name] for name in fitting}, strict=False)
    if not lost:
        return None
    if encoder:
        return f"{config.weights} ends before layer4: that stage and the decoder start from random weights"

    last = f"{network.classifier_name}.weight"
    if last in state and all(name.startswith(f"{network.classifier_name}.") for name in lost):
        return (
            f"{config.weights} has {len(state[last])} classes, not {network.classes}:"
            " the last layer starts from random weights"
        )

    return f"{config.weights} has no decoder that fits: {len(lost)} of its tensors start from random weights"


def _card(config: NetworkConfig) -> Mapping[str, Any]:
    """The card of a model that was trained here; empty for any other weights."""
    file = _local_file(config.weights or "")
    return card.read(file, "model") if file is not None and file.suffix == ".safetensors" else {}


def _check_own_model(
    facts: Mapping[str, Any],
    config: NetworkConfig,
    classes: Sequence[str] | None,
    *,
    unknown: Collection[str],
) -> None:
    """Raise InputError if a model of ours has layers that this network lacks, or as many classes,
    but others.
    """
    extra = sorted(name for name in unknown if not name.endswith(COUNTERS))
    if extra:
        raise InputError(
            f"{FLAG} {config.weights}: is not of this {config.architecture}, which has no {extra[0]}; "
            "give the --network options that it was trained with"
        )

    theirs = tuple(facts["classes"])
    if classes is not None and len(theirs) == len(classes) and theirs != tuple(classes):
        first = next(k for k, name in enumerate(theirs) if name != classes[k])
        raise InputError(
            f"{FLAG} {config.weights}: its class {first} is {theirs[first]}, and that of --labelled is "
            f"{classes[first]}; name the classes that it knows with --wanted, or give other weights"
        )


def _misfit(config: NetworkConfig, parameter: str) -> str:
    """Why weights are not those of a network's encoder, and what to do; an encoder of our own says
    what it is.
    """
    file = _local_file(config.weights or "")
    theirs = encoder_config(file) if file else None
    if theirs is None:
        return (
            f"is not of this {config.architecture} ({parameter} does not fit); "
            "give the architecture that it was trained with"
        )

    backbone = theirs.get("architecture")
    return f"is an encoder of {backbone}; give --network.architecture deeplabv3 --network.backbone {backbone}"


def _read(config: NetworkConfig) -> dict[str, Tensor]:
    name = config.weights or ""
    if config.architecture == "deeplabv3" and name == IMAGENET:
        return _imagenet_state(config)

    file = _local_file(name)
    if file is not None:
        if Path(name).is_dir() and not file.exists():
            raise InputError(
                f"{FLAG} {name}: holds no {file.name}; finish its training with --resume auto, or give another folder"
            )

        return local_state(file, FLAG)

    if config.architecture == "deeplabv3":
        if config.backbone == LITE0:
            raise InputError(
                f"{FLAG} {name}: unknown; {LITE0} has {IMAGENET}, or give a file, or None"
            )

        trunk = name.startswith("IMAGENET")
        return torchvision_state(
            config.backbone if trunk else f"deeplabv3_{config.backbone}", name, FLAG
        )

    return _hub_state(name)


def _local_file(name: str) -> Path | None:
    """The file, or what a run folder holds; None for what is a name of weights elsewhere."""
    path = Path(name)
    if path.is_dir():
        return next((path / kept for kept in KEPT if (path / kept).is_file()), path / KEPT[0])

    return path if path.suffix or path.is_file() else None


def _imagenet_state(config: NetworkConfig) -> dict[str, Tensor]:
    if config.backbone == LITE0:
        return local_state(imagenet_file(f"{FLAG} {IMAGENET}"), FLAG)
    return torchvision_state(config.backbone, "IMAGENET1K_V1", FLAG)


def _hub_state(name: str) -> dict[str, Tensor]:
    try:
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
        lost = UnreachableError(FLAG, name, error)
        # Any other name may be a mistyped file's, whose absence is not to be passed over.
        raise lost if name.startswith(USUAL) else InputError(str(lost)) from error

    return local_state(Path(file), FLAG)


def _of_architecture(
    state: dict[str, Tensor], config: NetworkConfig, network: SegmentationNetwork
) -> dict[str, Tensor]:
    """The state under the names of `config`'s network.

    Known are older names, mmsegmentation's, trunks alone and 2D weights for 3D.
    """
    state = {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED)}
    if config.architecture == "deeplabv3":
        if any(name.startswith("backbone.") for name in state):
            return state

        try:
            trunk = of_network(state, network.get_submodule("backbone").state_dict())
        except UnreadableError as error:
            raise InputError(f"{FLAG} {config.weights}: {error}") from error

        return {f"backbone.{name}": tensor for name, tensor in trunk.items()}

    state = from_mmseg(state) if is_mmseg(state) else state
    state = {
        renamed(name, OLDER_SWIN): t
        for name, t in state.items()
        if not name.endswith("relative_position_index")
    }
    flat = any(name.startswith("backbone.swin.") for name in state)

    return (
        inflate(state, config.clip_frames)
        if flat and config.architecture == "video_swin"
        else state
    )
