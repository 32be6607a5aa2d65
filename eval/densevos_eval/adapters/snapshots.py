"""Released snapshots of programs that evaluate label propagation, told apart by the names of their
weights.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

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
"""Whose snapshots there are, what a name of their weights has that others lack, and what makes a
network of them.

An `encoder.` alone is no mark of CRW: networks of many programs are called so. Its walk has heads
(`selfsim_`), and its padded convolutions may be the second member of a pair.
"""


def from_file(path: Path, of: str | None = None) -> Backbone:
    """The network of a snapshot; its file wraps the weights as {"model": ...} or {"state_dict":
    ...}.

    Whatever stands before all names of a network is taken away: "module.", "model.", ...

    of: Which of several networks in a file that is no such snapshot, see `weights_in`.

    Raises InputError when the file is unreadable, of no network that its names tell, or holds code,
    which is never run.
    """
    snapshot = read_snapshot(path)
    weights = snapshot if isinstance(snapshot, dict) else {}
    for wrapper in ("model", "state_dict"):
        if isinstance(weights.get(wrapper), dict):
            weights = weights[wrapper]

    weights = {
        str(name).removeprefix("module."): one
        for name, one in weights.items()
        if isinstance(one, Tensor)
    }

    for mark, from_weights in KINDS.values():
        prefix = _prefix(weights, mark)
        if prefix is not None:
            _check_single(path, of)
            return from_weights(below(weights, prefix), path)

    network = from_content(snapshot, path, of)
    if network is not None:
        return network

    some = f" (but {', '.join(list(weights)[:3])}, ...)" if weights else ""
    raise InputError(
        f"{path}: holds no weights of a ResNet, a vision transformer, {', '.join(KINDS)}{some}; name the network they "
        "belong to, timm:NAME:FILE or torchvision:NAME:FILE, or load them in a function of your own, module:function"
    )


def _prefix(weights: Mapping[str, Tensor], mark: re.Pattern[str]) -> str | None:
    """What stands before the first name that has the mark, which begins the name or follows a dot;
    None without.
    """
    for name in weights:
        found = mark.search(name)
        if found:
            return name[: found.start()]

    return None


def _check_single(path: Path, of: str | None) -> None:
    if of is not None:
        raise InputError(
            f"--weights-of {of}: {path} is a released snapshot of one network; leave it out"
        )
