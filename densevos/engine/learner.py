"""The two contracts that a method fulfils for the training loop: a batch and a learner."""

# Shapes: [] a scalar, H x W pixels of an image

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

Losses = dict[str, Tensor]
"""Scalars [] by name. The gradient of `loss` is followed; all others are only logged."""


class Batch(Protocol):
    """Samples of one step; their tensors are known only to the data set and to its learner."""

    @property
    def names(self) -> Sequence[str]:
        """One name per sample that says where it is from; the loop counts samples by them."""
        ...

    @property
    def skipped(self) -> Sequence[str]:
        """Why videos could not be used, one line per video."""
        ...


BatchT = TypeVar("BatchT", bound=Batch)


class Learner(nn.Module, Generic[BatchT]):
    """Networks and objectives joined into one training step; the base class of every learner.

    State: the state dict (parameters, buffers, extra state) holds everything that a resumed run
    needs.

    Random numbers: a learner draws from the generator that it is given, or from torch's global one.
    The loop seeds both from the run's seed and the step, so a resumed run ends bit for bit like one
    that was never interrupted.

    Several processes: each takes a part of one batch, and the generator has the same state in all
    of them. To make draws independent of the number of processes, draw for the complete batch and
    take this process's part with `engine.distributed.own_share`.
    """

    def begin_step(self, batches: int) -> None:
        """Prepare for the batches of one step; does nothing by default.

        Args:
            batches: Number of batches in this step (--loop.accumulate).
        """

    def forward(self, batch: BatchT, generator: torch.Generator) -> Losses:
        """Compute the losses of one batch.

        Args:
            batch: This process's samples.
            generator: On the CPU; the same on all ranks.

        Returns:
            Scalars by name, `loss` among them.
        """
        raise NotImplementedError

    def compile_step(self) -> None:
        """Let torch.compile speed up parts of a step; does nothing by default."""

    def panels(self, batch: BatchT, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw images of what the objective sees of a batch; the learner does not change.

        Args:
            batch: This process's samples.
            generator: On the CPU.

        Returns:
            Name -> image [3,H,W] in 0..1; empty by default.
        """
        return {}
