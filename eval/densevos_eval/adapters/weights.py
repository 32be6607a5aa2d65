"""Read weights from files of other projects, with errors that name the file."""

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
"""How names of weights files end."""

_MMCV = (
    (re.compile(r"\bconv(\d)\.conv\."), r"conv\1."),
    (re.compile(r"\bconv(\d)\.bn\."), r"bn\1."),
    (re.compile(r"\bdownsample\.conv\."), "downsample.0."),
    (re.compile(r"\bdownsample\.bn\."), "downsample.1."),
)
"""Parts of names of mmcv's ResNets (VFS), and what torchvision calls them.

In mmcv a convolution and its BatchNorm are one module.
"""


def is_file(weights: str) -> bool:
    """Whether `weights` names a file, even one that is missing, and no published weights."""
    # By its suffix, since a missing file would otherwise be looked up as published weights.
    return bool(weights) and (weights.endswith(SUFFIXES) or Path(weights).exists())


def read_weights(path: Path, of: str | None = None) -> dict[str, Tensor]:
    """Read the weights of a file, which may be wrapped in a checkpoint.

    Args:
        path: The file.
        of: Which of several networks to take, see `weights_in`.

    Returns:
        Names and tensors.

    Raises:
        InputError: The file is missing or truncated, or holds pickled code or no weights.
    """
    try:
        return weights_in(read_foreign(path), of)
    except FileNotFoundError:
        raise InputError(f"{path}: no such weights file") from None
    except UnreadableError as error:
        raise refusal(path, error) from error


def read_snapshot(path: Path) -> Any:
    """Read all that a snapshot holds, as it is.

    Raises:
        InputError: The file is missing or truncated, or holds pickled code.
    """
    try:
        return read_foreign(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such encoder file") from None
    except UnreadableError as error:
        raise refusal(path, error) from error


def refusal(path: Path, error: UnreadableError) -> InputError:
    """The error for a file that cannot be used, in one line that names it."""
    if isinstance(error, SeveralNetworksError):
        return InputError(f"{path}: {error.reason}; say which one with --weights-of")

    return InputError(f"{path}: {error}")


def torchvision_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a ResNet, with mmcv's names replaced by torchvision's."""
    renamed = {}
    for name, tensor in weights.items():
        for theirs, ours in _MMCV:
            name = theirs.sub(ours, name)

        renamed[name] = tensor

    return renamed


def resnet_weights(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The ResNet in a file's weights, under torchvision's names, without its classifier.

    Of a student and its teacher, or of a query and a key encoder, it is the one that is usually
    evaluated.

    Args:
        weights: Names and tensors. The names may have a prefix.
        path: The file, for messages.

    Raises:
        InputError: There is no ResNet, or more than one.
    """
    # Every ResNet has this weight exactly once, so what is before it is the prefix of a network.
    mark = "layer1.0.bn1.weight"
    renamed = torchvision_names(weights)
    prefixes = [name.removesuffix(mark) for name in renamed if name.endswith(mark)]

    if not prefixes:
        names = ", ".join(list(weights)[:3])
        raise InputError(
            f"{path}: must hold the weights of a ResNet ({mark}), has {names}, ...; "
            "name the network that it belongs to"
        )

    try:
        prefix = main_prefix(prefixes)
    except UnreadableError as error:
        raise refusal(path, error) from error

    resnet = {}
    for name, tensor in below(renamed, prefix).items():
        # The classifier, and heads that a method trained on top, have other names.
        if name.split(".")[0] in PARTS:
            resnet[name] = tensor

    return resnet
