"""The state of a training run: everything that a checkpoint holds."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch

from densevos.engine.checkpoint import State
from densevos.engine.learner import Learner
from densevos.engine.optimisation import Optimised


@dataclass
class Run:
    """Networks, optimisers, schedules, loss scaling and counters of a run."""

    learner: Learner[Any]
    parts: dict[str, Optimised]
    """Parts of the learner that are trained, by the name of the submodule."""
    scaler: torch.amp.GradScaler
    step: int = 0
    """Number of finished steps."""
    seconds: float = 0.0
    """Training time so far, over all interruptions."""
    best_loss: float = math.inf
    """Lowest mean loss between two checkpoints."""
    skipped: set[str] = field(default_factory=set)
    """Why videos could not be used: one line per video, of all ranks."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Videos that must not be read again: the dictionary of `VideoDataset`, not a copy."""

    def state(self) -> State:
        """The state as tensors and plain values, as a checkpoint holds it."""
        state: State = {"learner": self.learner.state_dict()}
        for name, part in self.parts.items():
            state[_key("optimiser", name)] = part.optimiser.state_dict()

        for name, part in self.parts.items():
            state[_key("schedule", name)] = part.schedule.state_dict()

        # The clips of a step and what it draws follow from the seed and the step's number.
        state.update(
            {
                "scaler": self.scaler.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
                "best_loss": self.best_loss,
                # Sets have no order: sorted, equal sets are equal in the file, too.
                "skipped": sorted(self.skipped),
                "left_out": dict(self.left_out),
                "torch_rng": torch.get_rng_state(),
            }
        )

        return state

    def restore(self, state: State) -> None:
        """Continue from a checkpoint.

        Args:
            state: What `state` returned, with all tensors on the CPU.

        Raises:
            KeyError, ValueError, RuntimeError: The checkpoint is of another learner or optimiser.
        """
        self.learner.load_state_dict(state["learner"])
        for name, part in self.parts.items():
            part.optimiser.load_state_dict(state[_key("optimiser", name)])
            part.schedule.load_state_dict(state[_key("schedule", name)])

        self.scaler.load_state_dict(state["scaler"])
        self.step = state["step"]
        self.seconds = state["seconds"]
        self.best_loss = state["best_loss"]
        self.skipped = set(state["skipped"])
        # The dictionary is shared with the data set, so it is filled and not replaced.
        self.left_out.update(state.get("left_out", {}))  # Older checkpoints have no such entry.
        # Random numbers come last, so that nothing above can draw from the restored generator.
        torch.set_rng_state(state["torch_rng"])


def _key(kind: str, part: str) -> str:
    """Name of an entry of a checkpoint; "" is the whole learner."""
    return f"{kind}.{part}" if part else kind
