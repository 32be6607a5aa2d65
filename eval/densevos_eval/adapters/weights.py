"""Weights from files of others, with errors that name the file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.foreign import UnreadableError, below, main_prefix, read_foreign, weights_in
from densevos_eval.adapters.resnet import PARTS

SUFFIXES = (".safetensors", ".pth", ".pt", ".tar", ".bin", ".ckpt")


def is_file(weights: str) -> bool:
    """Whether WEIGHTS names a file, one that is missing included, and not weights that others publish."""
    return weights.endswith(SUFFIXES) or Path(weights).exists()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Names and tensors of a weights file, taken out of the checkpoint that may wrap them.

    Raises InputError when the file is missing, truncated, holds pickled code, or no weights.
    """
    try:
        return weights_in(read_foreign(path))
    except FileNotFoundError:
        raise InputError(f"{path}: no such weights file") from None
    except UnreadableError as error:
        raise InputError(f"{path}: {error}") from error


def read_snapshot(path: Path) -> Any:
    """What a snapshot holds, as it is. Raises InputError when the file is missing, truncated or holds pickled code."""
    try:
        return read_foreign(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such encoder file") from None
    except UnreadableError as error:
        raise InputError(f"{path}: {error}") from error


def resnet_weights(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The ResNet in `weights` under torchvision's names, whatever stands before them; without its classifier.

    Of a student and its teacher, or a query and a key encoder, it is the one that is evaluated.
    Raises InputError when there is none, or more than one.
    """
    mark = "layer1.0.bn1.weight"
    prefixes = [name.removesuffix(mark) for name in weights if name.endswith(mark)]
    if not prefixes:
        some = ", ".join(list(weights)[:3])
        raise InputError(
            f"{path}: must hold the weights of a ResNet ({mark}), has {some}, ...; name the network it is of"
        )
    try:
        prefix = main_prefix(prefixes)
    except UnreadableError as error:
        raise InputError(f"{path}: {error}") from error
    return {name: tensor for name, tensor in below(weights, prefix).items() if name.split(".")[0] in PARTS}
