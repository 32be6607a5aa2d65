"""Initial weights that were trained elsewhere, by name or from a file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision.models import get_model_weights

from densevos.base.errors import InputError
from densevos.models import card
from densevos.models.foreign import UnreadableError, of_network, read_foreign, weights_in
from densevos.models.resnet import DenseResNet


class UnreachableError(InputError):
    """Weights whose name is known, but whose download failed; `reason` is why."""

    def __init__(self, flag: str, name: str, error: Exception):
        # Messages of libraries can have many lines; the first says what happened.
        self.reason = (str(error) or type(error).__name__).splitlines()[0]
        hint = "give a local file, or None to start from random weights"
        super().__init__(f"{flag} {name}: cannot be fetched ({self.reason}); {hint}")


def load_backbone(backbone: DenseResNet, architecture: str, weights: str) -> None:
    """Fill a backbone with initial weights.

    Args:
        backbone: The network. Stages that it lacks are left out, and so is a projection head.
        architecture: Its name in torchvision.
        weights: A name of torchvision (IMAGENET1K_V1), or a file of the same network: a state dict,
            or an encoder.safetensors that densevos train wrote.

    Raises:
        InputError: The name is unknown, the weights cannot be fetched or read, or are of another
            network.
    """
    # Names of torchvision have no suffix, and files of weights do.
    if Path(weights).suffix:
        state = local_state(Path(weights))
    else:
        state = torchvision_state(architecture, weights)

    own = backbone.state_dict()

    # A checkpoint can hold several networks, or the backbone under a prefix.
    try:
        state = of_network(state, own)
    except UnreadableError as error:
        raise InputError(f"--weights {weights}: {error}") from error

    # Every weight must be there: a backbone that is partly random would go unnoticed.
    for name, tensor in own.items():
        if name not in state or state[name].shape != tensor.shape:
            raise InputError(
                f"--weights {weights}: {_misfit(weights, architecture, backbone.last, name)}"
            )

    # Names that the backbone lacks, such as a classifier, are left out.
    backbone.load_state_dict({name: state[name] for name in own})


def _misfit(weights: str, architecture: str, last: str, parameter: str) -> str:
    """Why a file's weights do not fit a backbone, and what to do; a card makes it exact."""
    config = encoder_config(Path(weights))
    if config is None:
        return f"is not of a {architecture} ({parameter} does not fit); take its own"

    theirs = f"{config.get('architecture')} up to {config.get('last')}"
    return (
        f"is an encoder of {theirs}, the backbone is {architecture} up to {last}; "
        "pass the --encoder options of its run"
    )


def encoder_config(path: Path) -> Mapping[str, Any] | None:
    """The configuration on the card of an encoder that densevos trained; None for other files."""
    # Only safetensors files have a card.
    if path.suffix != ".safetensors":
        return None

    return card.config_of(path, "encoder")


def torchvision_state(
    architecture: str, name: str, flag: str = "--weights"
) -> dict[str, torch.Tensor]:
    """Fetch weights of a torchvision network by name.

    Args:
        architecture: Name of the network in torchvision.
        name: Name of the weights.
        flag: The option that names them, for messages.

    Raises:
        InputError: torchvision has no such weights.
        UnreachableError: The weights exist but cannot be downloaded.
    """
    try:
        # torchvision raises ValueError for a network that it does not know.
        known = get_model_weights(architecture).__members__
    except ValueError:
        known = {}

    if name not in known:
        # The message lists what can be given instead.
        offered = f"{architecture} has none; give"
        if known:
            offered = f"{architecture} has {', '.join(known)}, or give"

        raise InputError(
            f"{flag} {name}: unknown; {offered} a file, or None to start from random weights"
        )

    try:
        weights: dict[str, Tensor] = known[name].get_state_dict(progress=False)
        return weights
    except (URLError, OSError) as error:
        raise UnreachableError(flag, name, error) from error


def load_published(network: nn.Module, architecture: str, weights: str, flag: str) -> None:
    """Fill a complete network of torchvision with weights that were trained elsewhere.

    Args:
        network: The network, without weights.
        architecture: Its name in torchvision, such as raft_small.
        weights: A name of torchvision, which downloads them once, or a file with a state dict of
            this network.
        flag: The option that named them, for messages.

    Raises:
        InputError: The weights cannot be fetched or read, or are of another network.
    """
    known = get_model_weights(architecture).__members__
    # A name is preferred to a file of the same name, and downloaded once.
    if weights in known:
        try:
            state = known[weights].get_state_dict(progress=False)
        except (URLError, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(
                f"{flag} {weights}: cannot be fetched ({reason}); "
                f"give a file with the weights of {architecture}"
            ) from error
    elif Path(weights).suffix or Path(weights).exists():
        state = _state_of_file(Path(weights), architecture, flag)
    else:
        raise InputError(
            f"{flag} {weights}: unknown; {architecture} has {', '.join(known)}, or give a file"
        )

    # All weights must fit: nothing of this network is trained later.
    own = network.state_dict()
    for name, tensor in own.items():
        if name not in state or state[name].shape != tensor.shape:
            raise InputError(
                f"{flag} {weights}: is of another network ({name} does not fit); "
                f"give the weights of {architecture}"
            )

    # The network may be on the device meta, without memory for its weights: hence `assign`.
    fitting = {name: state[name].to(tensor.dtype) for name, tensor in own.items()}
    network.load_state_dict(fitting, assign=True)


def _state_of_file(path: Path, architecture: str, flag: str) -> Mapping[str, torch.Tensor]:
    try:
        return weights_in(read_foreign(path))
    except FileNotFoundError:
        raise InputError(
            f"{flag} {path}: no such file; give a file with the weights of {architecture}"
        ) from None
    except UnreadableError as error:
        raise InputError(f"{flag} {path}: {error}") from error


def local_state(path: Path, flag: str = "--weights") -> dict[str, torch.Tensor]:
    """Read a state dict from a .safetensors file or a file of torch.save.

    Args:
        path: The file. From a checkpoint, the part with the weights (`state_dict`, `model` and
            others) is taken.
        flag: The option that names it, for messages.

    Raises:
        InputError: The file is missing or holds no weights.
    """
    try:
        return weights_in(read_foreign(path))
    except FileNotFoundError:
        raise InputError(
            f"{flag} {path}: no such file; give the path of one, or None for random weights"
        ) from None
    except UnreadableError as error:
        raise InputError(
            f"{flag} {path}: is no plain state dict ({error.reason}); {error.fix}"
        ) from error
