"""Networks that begin with weights trained elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from torch import nn
from torchvision.models import get_model_weights

from densevos.base.errors import InputError
from densevos.models import card
from densevos.models.foreign import UnreadableError, of_network, read_foreign, weights_in
from densevos.models.resnet import DenseResNet


class UnreachableError(InputError):
    """Weights that have a name, but cannot be fetched here and now; `reason` says why."""

    def __init__(self, flag: str, name: str, error: Exception):
        self.reason = (str(error) or type(error).__name__).splitlines()[0]
        hint = "give a local file, or None to start from random weights"
        super().__init__(f"{flag} {name}: cannot be fetched ({self.reason}); {hint}")


def load_trunk(trunk: DenseResNet, architecture: str, weights: str) -> None:
    """Fill `trunk` from torchvision weights by name (IMAGENET1K_V1) or from a local file of that
    network.

    The file is a state dict, or an encoder.safetensors that densevos train wrote. Stages that the
    trunk does not have are left out, and so is the projection head.

    Raises:
        InputError: the name is unknown, the weights cannot be fetched or read, or are of another
            network.
    """
    state = (
        local_state(Path(weights))
        if Path(weights).suffix
        else torchvision_state(architecture, weights)
    )
    own = trunk.state_dict()

    try:
        state = of_network(state, own)
    except UnreadableError as error:
        raise InputError(f"--weights {weights}: {error}") from error

    for name, tensor in own.items():
        if name not in state or state[name].shape != tensor.shape:
            raise InputError(
                f"--weights {weights}: {_misfit(weights, architecture, trunk.last, name)}"
            )

    trunk.load_state_dict({name: state[name] for name in own})


def _misfit(weights: str, architecture: str, last: str, parameter: str) -> str:
    """Why a file's weights are not those of a trunk, and what to do; an encoder of our own says
    what it is.
    """
    config = encoder_config(Path(weights))
    if config is None:
        return f"is not of a {architecture} ({parameter} does not fit); take its own"

    theirs = f"{config.get('architecture')} up to {config.get('last')}"
    return f"is an encoder of {theirs}, the trunk is {architecture} up to {last}; pass the --encoder options of its run"


def encoder_config(path: Path) -> Mapping[str, Any] | None:
    """The configuration on the card of an encoder that densevos trained; None for any other
    file.
    """
    if path.suffix != ".safetensors":
        return None

    return card.config_of(path, "encoder")


def torchvision_state(
    architecture: str, name: str, flag: str = "--weights"
) -> dict[str, torch.Tensor]:
    """Weights of one of torchvision's networks by name; InputError names `flag` when there are none
    to be had.

    UnreachableError where there are, but not from here.
    """
    try:
        known = get_model_weights(architecture).__members__
    except ValueError:
        known = {}

    if name not in known:
        offered = (
            f"{architecture} has {', '.join(known)}, or give"
            if known
            else f"{architecture} has none; give"
        )
        raise InputError(
            f"{flag} {name}: unknown; {offered} a file, or None to start from random weights"
        )

    try:
        return known[name].get_state_dict(progress=False)
    except (URLError, OSError) as error:
        raise UnreachableError(flag, name, error) from error


def load_published(network: nn.Module, architecture: str, weights: str, flag: str) -> None:
    """Fill a whole network of torchvision with weights that were trained elsewhere.

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
    if weights in known:
        try:
            state = known[weights].get_state_dict(progress=False)
        except (URLError, OSError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(
                f"{flag} {weights}: cannot be fetched ({reason}); give a file with the weights of {architecture}"
            ) from error
    elif Path(weights).suffix or Path(weights).exists():
        state = _state_of_file(Path(weights), architecture, flag)
    else:
        raise InputError(
            f"{flag} {weights}: unknown; {architecture} has {', '.join(known)}, or give a file"
        )

    own = network.state_dict()
    for name, tensor in own.items():
        if name not in state or state[name].shape != tensor.shape:
            raise InputError(
                f"{flag} {weights}: is of another network ({name} does not fit); give the weights of {architecture}"
            )

    # A network may have been made without memory for its weights, on the device meta.
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
    """A state dict from a .safetensors file, or else a file of torch.save; InputError names `flag`
    when it is none.

    Of a checkpoint it is the part that holds the weights (`state_dict`, `model`, ...).
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
