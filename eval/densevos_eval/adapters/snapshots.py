"""Released snapshots of programs that evaluate label propagation, told apart by the names of their weights."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from densevos.base.errors import InputError
from densevos_eval.adapters import crw, dul, released
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.suggestion import suggested
from densevos_eval.adapters.weights import read_snapshot

KINDS: dict[str, tuple[re.Pattern[str], Callable[[Mapping[str, Tensor], Path], Backbone]]] = {
    "DUL": (re.compile(r"fast_net\."), dul.from_weights),
    "CRW": (re.compile(r"encoder\.(model\.)?(conv1|bn1|layer\d)\."), crw.from_weights),
    "UVC": (re.compile(r"gray_encoder\."), released.uvc),
    "TimeCycle": (re.compile(r"encoderVideo\."), released.timecycle),
    "VFS": (re.compile(r"backbone\.conv1\.conv\."), released.vfs),
}
"""Whose snapshots there are, how names of their weights begin, and what makes a network of them."""


def from_file(path: Path) -> Backbone:
    """The network of a snapshot; its file wraps the weights as {"model": ...} or {"state_dict": ...}.

    Raises InputError when the file is unreadable, of another kind, or holds code, which is never run. Where it holds a
    network that another adapter can load, the message says how.
    """
    snapshot = read_snapshot(path)
    weights = snapshot if isinstance(snapshot, dict) else {}
    for wrapper in ("model", "state_dict"):
        if isinstance(weights.get(wrapper), dict):
            weights = weights[wrapper]
    weights = {str(name).removeprefix("module."): one for name, one in weights.items() if isinstance(one, Tensor)}
    for beginning, from_weights in KINDS.values():
        if any(beginning.match(name) for name in weights):
            return from_weights(weights, path)

    other = suggested(snapshot, path)
    if other:
        raise InputError(f"{path}: holds {other.what}; load it with --encoder {other.spec}")
    raise InputError(
        f"{path}: holds no weights of {', '.join(KINDS)}; give such a snapshot or our encoder.safetensors, or load the "
        "file into a network: torchvision:resnet50:FILE, timm:NAME:FILE"
    )
