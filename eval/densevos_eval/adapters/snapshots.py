"""Recognise released snapshots by the names of their weights, and load them."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from densevos.base.errors import InputError
from densevos.models.foreign import below
from densevos_eval.adapters import crw, dul, released
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.recognised import from_content
from densevos_eval.adapters.weights import read_snapshot

KINDS: dict[str, tuple[re.Pattern[str], Callable[[Mapping[str, Tensor], Path], Backbone]]] = {
    "DUL": (re.compile(r"(?<![^.])fast_net\."), dul.from_weights),
    "CRW": (
        re.compile(r"(?<![^.])(selfsim_|encoder\.(model\.)?layer1\.0\.conv1\.1\.)"),
        crw.from_weights,
    ),
    "UVC": (re.compile(r"(?<![^.])gray_encoder\."), released.uvc),
    "TimeCycle": (re.compile(r"(?<![^.])encoderVideo\."), released.timecycle),
    "VFS": (re.compile(r"(?<![^.])backbone\.conv1\.conv\."), released.vfs),
}
"""Kinds of snapshots, each with a mark in the names of its weights and the function that loads it.

`encoder.` alone is no mark of CRW, because many programs call a network so. But only its walk has
heads (`selfsim_`), and its padded convolutions may be the second member of a pair.
"""


def from_file(path: Path, of: str | None = None) -> Backbone:
    """The network of a snapshot, or of another file whose network is recognised.

    Args:
        path: The file. Its weights may be wrapped as {"model": ...} or {"state_dict": ...}, and
            their names may have a prefix, such as "module." or "model.".
        of: Which of several networks to take from a file that is no such snapshot, see
            `weights_in`.

    Raises:
        InputError: The file is unreadable, its network is not recognised, or it holds pickled code,
            which is never run.
    """
    snapshot = read_snapshot(path)
    weights = _unwrapped(snapshot)

    # Snapshots of the published methods.
    for mark, from_weights in KINDS.values():
        prefix = _prefix(weights, mark)
        if prefix is not None:
            _check_single(path, of)
            return from_weights(below(weights, prefix), path)

    # Other files of a usual network.
    network = from_content(snapshot, path, of)
    if network is not None:
        return network

    names = f" (but {', '.join(list(weights)[:3])}, ...)" if weights else ""
    raise InputError(
        f"{path}: holds no weights of a ResNet, a vision transformer, {', '.join(KINDS)}{names}; "
        "name the network they belong to, timm:NAME:FILE or torchvision:NAME:FILE, or load them in "
        "a function of your own, module:function"
    )


def _unwrapped(snapshot: Any) -> dict[str, Tensor]:
    """The weights of a snapshot, without what is stored beside them."""
    if not isinstance(snapshot, dict):
        return {}

    # One wrapper may hold the other, so they are opened in this order.
    entries = snapshot
    for wrapper in ("model", "state_dict"):
        if isinstance(entries.get(wrapper), dict):
            entries = entries[wrapper]

    # Distributed training puts "module." before all names.
    weights = {}
    for name, value in entries.items():
        if isinstance(value, Tensor):
            weights[str(name).removeprefix("module.")] = value

    return weights


def _prefix(weights: Mapping[str, Tensor], mark: re.Pattern[str]) -> str | None:
    """The text before the mark in the first name that has it; None if no name has it."""
    for name in weights:
        # Names of a network that is part of another one start with the name of the part.
        match = mark.search(name)
        if match:
            return name[: match.start()]

    return None


def _check_single(path: Path, of: str | None) -> None:
    """Raise InputError if a network is named, because these snapshots hold only one."""
    if of is not None:
        raise InputError(
            f"--weights-of {of}: {path} is a released snapshot of one network; leave it out"
        )
