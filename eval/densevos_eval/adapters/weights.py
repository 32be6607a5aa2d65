"""Weights from files of others: safetensors or torch.save, read without running code that a file may hold."""

import argparse
import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from densevos.base.errors import InputError
from densevos_eval.adapters.backbone import shortened
from densevos_eval.adapters.resnet import PARTS

SUFFIXES = (".safetensors", ".pth", ".pt", ".tar", ".bin", ".ckpt")
WRAPPERS = ("state_dict", "model", "teacher")  # names under which checkpoints keep the weights


def is_file(weights: str) -> bool:
    """Whether WEIGHTS names a file, one that is missing included, and not weights that others publish."""
    return weights.endswith(SUFFIXES) or Path(weights).exists()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a weights file, taken out of the checkpoint that may wrap them.

    Raises InputError when the file is missing, truncated, holds pickled code, or no weights.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such weights file")
    content = _read_safetensors(path) if path.suffix == ".safetensors" else read_pickled(path)
    for wrapper in WRAPPERS:
        inner = content.get(wrapper) if isinstance(content, Mapping) else None
        content = inner if isinstance(inner, Mapping) else content
    if not isinstance(content, Mapping):
        raise InputError(f"{path}: holds no weights but a {type(content).__name__}; give a state dict")
    weights = {str(name): tensor for name, tensor in content.items() if isinstance(tensor, Tensor)}
    if not weights:
        raise InputError(f"{path}: holds no weights by name; give a state dict")
    return weights


def read_pickled(path: Path) -> Any:
    """What torch.save wrote: tensors, containers, plain values and parsed arguments; no other class is made."""
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals([argparse.Namespace]):
            warnings.simplefilter("ignore")  # of pickle protocols: what is not plain weights is refused anyway
            return torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such encoder file") from None
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: is no plain weights file, or holds pickled code, which is not run; "
            'save it again as {"model": state_dict}'
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({shortened(error)}); download it again") from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except (safetensors.SafetensorError, OSError) as error:
        raise InputError(f"{path}: not a whole safetensors file ({shortened(error)}); download it again") from error


def below(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in weights.items() if name.startswith(prefix)}


def resnet_weights(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The ResNet in `weights` under torchvision's names, whatever stands before them; without its classifier.

    Raises InputError when there is none, or more than one.
    """
    mark = "layer1.0.bn1.weight"
    prefixes = [name.removesuffix(mark) for name in weights if name.endswith(mark)]
    if len(prefixes) != 1:
        found = f"several ({', '.join(prefixes)})" if prefixes else "none"
        raise InputError(f"{path}: must hold the weights of one ResNet, there are {found}; save the one wanted alone")
    return {name: tensor for name, tensor in below(weights, prefixes[0]).items() if name.split(".")[0] in PARTS}
