"""densevos_eval: evaluate dense encoders by propagating masks through video.

From Python: `from densevos_eval import Propagator, load_encoder, load_sequences, evaluate, compare,
report`; see docs/python-api.md.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densevos_eval.adapters.encoder import load_encoder
    from densevos_eval.drawing.picture import overlay
    from densevos_eval.inputs.sequences import load_sequences
    from densevos_eval.propagation.propagate import propagate
    from densevos_eval.propagation.propagator import Propagator
    from densevos_eval.propagation.settings import PropagationConfig
    from densevos_eval.reports.public_compare import compare
    from densevos_eval.reports.public_report import report
    from densevos_eval.scoring.memory import evaluate
    from densevos_eval.sequences.painted import read_painted as read_masks

__all__ = [
    "PropagationConfig",
    "Propagator",
    "compare",
    "evaluate",
    "load_encoder",
    "load_sequences",
    "overlay",
    "propagate",
    "read_masks",
    "report",
]

# Public name -> module and its name there.
_HOMES = {
    "PropagationConfig": "propagation.settings:PropagationConfig",
    "Propagator": "propagation.propagator:Propagator",
    "compare": "reports.public_compare:compare",
    "evaluate": "scoring.memory:evaluate",
    "load_encoder": "adapters.encoder:load_encoder",
    "load_sequences": "inputs.sequences:load_sequences",
    "overlay": "drawing.picture:overlay",
    "propagate": "propagation.propagate:propagate",
    "read_masks": "sequences.painted:read_painted",
    "report": "reports.public_report:report",
}


def __getattr__(name: str) -> Any:
    # Names are imported on first use: torch is slow to load, and scoring masks does not need it.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute)
