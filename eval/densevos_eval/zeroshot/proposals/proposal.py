"""The contract of a source of proposals: one frame in, masks that may be objects out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What may be an object of a frame."""

    mask: np.ndarray
    """Its pixels, [H,W] bool."""
    score: float
    """How sure its source is of it, 0..1."""


class ProposalSource(Protocol):
    """Finds what may be objects in one frame.

    Args:
        frame: RGB [H,W,3] uint8.
        foreground: Probability of foreground [H,W] float32, of the object-level method.

    Returns:
        Proposals in any order; they may overlap, and there may be none.
    """

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> Sequence[Proposal]: ...
