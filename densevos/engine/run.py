"""The state of a training run: all that a checkpoint holds."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from densevos.engine.checkpoint import State
from densevos.engine.learner import Learner
from densevos.engine.optimisation import Optimised


@dataclass
class Run:
    """Networks, optimisers, schedules, loss scaling and what was counted so far."""

    learner: Learner[Any]
    parts: dict[str, Optimised]
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds: float = 0.0
    best_loss: float = math.inf
    skipped: set[str] = field(default_factory=set)
    """Why videos could not be used, one line each, of all ranks."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Videos that must not be read again; see `VideoDataset`. The same dictionary as there."""

    def state(self) -> State:
        """Everything as tensors and plain values. Random draws of step k follow from (seed, k):
        nothing to keep.
        """
        return {
            "learner": self.learner.state_dict(),
            **{
                _key("optimiser", name): part.optimiser.state_dict()
                for name, part in self.parts.items()
            },
            **{
                _key("schedule", name): part.schedule.state_dict()
                for name, part in self.parts.items()
            },
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best_loss": self.best_loss,
            "skipped": sorted(self.skipped),
            "left_out": dict(self.left_out),
            "torch_rng": torch.get_rng_state(),
        }

    def restore(self, state: State) -> None:
        """Go on from a checkpoint."""
        self.learner.load_state_dict(state["learner"])
        for name, part in self.parts.items():
            part.optimiser.load_state_dict(state[_key("optimiser", name)])
            part.schedule.load_state_dict(state[_key("schedule", name)])

        self.scaler.load_state_dict(state["scaler"])
        self.step, self.seconds, self.best_loss = (
            state["step"],
            state["seconds"],
            state["best_loss"],
        )
        self.skipped = set(state["skipped"])
        self.left_out.update(state.get("left_out", {}))
        torch.set_rng_state(state["torch_rng"])


def _key(what: str, part: str) -> str:
    return f"{what}.{part}" if part else what
