"""Released snapshots: {"model": state_dict} files of DUL and CRW, told apart by the names of their weights."""

from pathlib import Path

from torch import Tensor

from densevos.base.errors import InputError
from densevos_eval.adapters import crw, dul
from densevos_eval.adapters.backbone import Backbone
from densevos_eval.adapters.weights import read_snapshot

KINDS = {"fast_net.": dul.from_weights, "encoder.": crw.from_weights}


def from_file(path: Path) -> Backbone:
    """Raises InputError when the file is unreadable, of another kind, or holds code, which is never run."""
    snapshot = read_snapshot(path)
    weights = snapshot.get("model") if isinstance(snapshot, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(tensor, Tensor) for tensor in weights.values()):
        raise InputError(
            f'{path}: holds no {{"model": state_dict}}; give a DUL or CRW snapshot, our encoder.safetensors, or '
            "load the file into a network: torchvision:resnet50:FILE, timm:NAME:FILE"
        )
    weights = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
    for prefix, from_weights in KINDS.items():
        if any(name.startswith(prefix) for name in weights):
            return from_weights(weights, path)
    raise InputError(
        f"{path}: holds neither fast_net.* (DUL) nor encoder.* (CRW); give such a snapshot or our encoder.safetensors"
    )
