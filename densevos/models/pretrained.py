"""Trunks that begin with weights trained on ImageNet."""

import pickle
from pathlib import Path
from urllib.error import URLError

import torch
from torchvision.models import get_model_weights

from densevos.errors import InputError
from densevos.models.resnet import DenseResNet


def load_trunk(trunk: DenseResNet, architecture: str, weights: str) -> None:
    """Fill `trunk` from torchvision weights by name (IMAGENET1K_V1) or from a local state dict of that network.

    Raises InputError when the name is unknown, the weights cannot be fetched or read, or are of another network.
    """
    state = _local(Path(weights)) if Path(weights).suffix else _fetched(architecture, weights)
    own = trunk.state_dict()
    for name, tensor in own.items():
        if name not in state or state[name].shape != tensor.shape:
            raise InputError(f"--weights {weights}: is not of a {architecture} ({name} does not fit); take its own")
    trunk.load_state_dict({name: state[name] for name in own})


def _fetched(architecture: str, name: str) -> dict[str, torch.Tensor]:
    known = get_model_weights(architecture)
    if name not in known.__members__:
        raise InputError(
            f"--weights {name}: unknown; {architecture} has {', '.join(known.__members__)}, or give a file"
        )
    try:
        return known[name].get_state_dict(progress=False)
    except (URLError, OSError) as error:
        raise InputError(f"--weights {name}: cannot be fetched ({error}); give a local .pth file") from error


def _local(path: Path) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"--weights {path}: no such file") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError) as error:
        raise InputError(f"--weights {path}: is no plain state dict ({type(error).__name__}); save it again") from error
    if not isinstance(state, dict):
        raise InputError(f"--weights {path}: is no state dict; save the network's state_dict()")
    return state
