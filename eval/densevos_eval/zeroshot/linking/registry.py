"""Linkers by name, ready to use."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.data.foreground.flow import Flow, dis_flow
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.zeroshot.linking.association import Association
from densevos_eval.zeroshot.linking.track import Linker

LINKERS = ("association",)
RAFT_WEIGHTS = "C_T_V2"


def load_linker(
    name: str, *, flow: str = "dis", flow_weights: str | None = None, device: str = "cpu"
) -> tuple[Linker, dict[str, Any]]:
    """The linker of this name, and its settings for the record of a run.

    Args:
        name: One of LINKERS.
        flow: Optical flow that moves masks from frame to frame: dis or raft.
        flow_weights: Weights of RAFT: a name of torchvision or a file; None: C_T_V2.
        device: Where RAFT runs.

    Raises:
        InputError: There is no such linker, or weights cannot be had.
    """
    if name not in LINKERS:
        raise InputError(f"--linking {name}: is unknown; choose one of {', '.join(LINKERS)}")
    between, facts = load_flow(flow, flow_weights, device)
    association = Association(flow=between)
    return association, {"linking": name, **facts, **recorded(association)}


def load_flow(name: str, weights: str | None, device: str) -> tuple[Flow, dict[str, Any]]:
    """Optical flow by name (dis, raft), and its settings for the record; InputError for what cannot be had."""
    if name == "dis":
        if weights is not None:
            raise InputError(f"--flow-weights {weights}: is for --flow raft; leave it out")
        return dis_flow, {"flow": "dis"}
    if name != "raft":
        raise InputError(f"--flow {name}: is unknown; choose dis or raft")

    import torch  # Imported here: dis needs none of it.

    from densevos.data.foreground.raft import load_raft

    chosen = weights or RAFT_WEIGHTS
    flow = load_raft(chosen, torch.device(device))
    return flow, {"flow": "raft", "flow_weights": _identity(chosen)}


def recorded(linker: Any) -> Mapping[str, Any]:
    """The numbers among the settings of a linker, by names that no other part of a run has."""
    values = {one.name: getattr(linker, one.name) for one in fields(linker)}
    return {f"linking_{name}": value for name, value in values.items() if isinstance(value, int | float)}


def _identity(weights: str) -> str:
    """The name of published weights, or what is in a file of them."""
    file = Path(weights)
    return fingerprint([file]) if file.is_file() else weights
