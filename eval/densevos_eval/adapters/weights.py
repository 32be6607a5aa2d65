"""Weights from files of others, with errors that name the file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.foreign import (
    SeveralNetworksError,
    UnreadableError,
    below,
    main_prefix,
    read_foreign,
    weights_in,
)
from densevos_eval.adapters.resnet import PARTS

SUFFIXES = (".safetensors", ".pth", ".pt", ".tar", ".bin", ".ckpt")

_MMCV = (
    (re.compile(r"\bconv(\d)\.conv\."), r"conv\1."),
    (re.compile(r"\bconv(\d)\.bn\."), r"bn\1."),
    (re.compile(r"\bdownsample\.conv\."), "downsample.0."),
    (re.compile(r"\bdownsample\.bn\."), "downsample.1."),
)
"""Names of mmcv's ResNets (VFS), in which a convolution and its BatchNorm are one module, and
torchvision's.
"""


def is_file(weights: str) -> bool:
    """Whether WEIGHTS names a file, one that is missing included, and not weights that others
    publish.
    """
    return bool(weights) and (weights.endswith(SUFFIXES) or Path(weights).exists())


def read_weights(path: Path, of: str | None = None) -> dict[str, Tensor]:
    """Names and tensors of a weights file, taken out of the checkpoint that may wrap them.

    of: which of several networks, see `weights_in`.

    Raises InputError when the file is missing, truncated, holds pickled code, or no weights.
    """
    try:
        return weights_in(read_foreign(path), of)
    except FileNotFoundError:
        raise InputError(f"{path}: no such weights file") from None
    except UnreadableError as error:
        raise refusal(path, error) from error


def read_snapshot(path: Path) -> Any:
    """What a snapshot holds, as it is. Raises InputError when the file is missing, truncated or
    holds pickled code.
    """
    try:
        return read_foreign(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such encoder file") from None
    except UnreadableError as error:
        raise refusal(path, error) from error


def refusal(path: Path, error: UnreadableError) -> InputError:
    """What is wrong with a file, in a line that names it."""
    if isinstance(error, SeveralNetworksError):
        return InputError(f"{path}: {error.reason}; say which one with --weights-of")
    return InputError(f"{path}: {error}")


def torchvision_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a ResNet under the names that torchvision gives them, where mmcv's stood."""
    renamed = {}
    for name, tensor in weights.items():
        for theirs, ours in _MMCV:
            name = theirs.sub(ours, name)
        renamed[name] = tensor

    return renamed


def resnet_weights(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The ResNet in `weights` under torchvision's names, whatever stands before them; without its
    classifier.

    Of a student and its teacher, or a query and a key encoder, it is the one that is evaluated.
    Raises InputError when there is none, or more than one.
    """
    mark = "layer1.0.bn1.weight"
    renamed = torchvision_names(weights)
    prefixes = [name.removesuffix(mark) for name in renamed if name.endswith(mark)]

    if not prefixes:
        some = ", ".join(list(weights)[:3])
        raise InputError(
            f"{path}: must hold the weights of a ResNet ({mark}), has {some}, ...; name the network it is of"
        )

    try:
        prefix = main_prefix(prefixes)
    except UnreadableError as error:
        raise refusal(path, error) from error

    return {
        name: tensor
        for name, tensor in below(renamed, prefix).items()
        if name.split(".")[0] in PARTS
    }
