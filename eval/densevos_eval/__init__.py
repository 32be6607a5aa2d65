"""densevos_eval: judge dense encoders by propagating masks through video.

From Python: `from densevos_eval import PropagationConfig, Propagator, load_encoder`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from densevos_eval.adapters.encoder import load_encoder
    from densevos_eval.propagation.propagator import Propagator
    from densevos_eval.propagation.settings import PropagationConfig

__all__ = ["PropagationConfig", "Propagator", "load_encoder"]

_HOMES = {
    "PropagationConfig": "propagation.settings",
    "Propagator": "propagation.propagator",
    "load_encoder": "adapters.encoder",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: judging masks on disk needs no torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
