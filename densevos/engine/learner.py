"""What the training loop asks of a learner and of a batch. The loop knows no method beyond these
two contracts.
"""

from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn

Losses = dict[str, Tensor]
"""Scalars by name. `loss` is the one whose gradient is taken; all others are logged."""


class Batch(Protocol):
    """Samples of one step. What else a batch holds is between the data set that makes it and its
    learner.
    """

    @property
    def names(self) -> Sequence[str]:
        """Where each sample is from; one for each sample, because the loop counts samples by
        them.
        """
        ...

    @property
    def skipped(self) -> Sequence[str]:
        """Why videos could not be used, one line each."""
        ...


BatchT = TypeVar("BatchT", bound=Batch)


class Learner(nn.Module, Generic[BatchT]):
    """Networks and objectives joined into one training step; the base class of every learner.

    A learner keeps everything that a resumed run needs in its state dict: parameters, buffers and
    extra state. It draws random numbers from the generator that it is given, or from torch's global
    one, and the loop seeds both from the run's seed and the step. A run that was resumed then ends
    bit for bit like one that was not. The generator is in the same state in each of several
    processes, which take parts of one batch: what is drawn for the whole batch and cut by
    `engine.distributed.own_share` does not depend on their number.
    """

    def begin_step(self, batches: int) -> None:
        """Called before the first of a step's batches; `batches` is their number
        (--loop.accumulate).
        """

    def forward(self, batch: BatchT, generator: torch.Generator) -> Losses:
        """The losses of one batch; `generator` is on the CPU."""
        raise NotImplementedError

    def compile_step(self) -> None:
        """Let torch.compile speed up what it can of a step; nothing unless a learner knows what
        that is.
        """

    def panels(self, batch: BatchT, generator: torch.Generator) -> dict[str, Tensor]:
        """Pictures [3,H,W] in 0..1 of what the objective sees of a batch, by name; none unless a
        learner draws some.

        Nothing of the learner changes. `generator` is on the CPU.
        """
        return {}
