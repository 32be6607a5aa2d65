"""The contract of a source of proposals: one frame in, masks that may be objects out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A mask of a frame that may be an object."""

    mask: np.ndarray
    """Pixels of the object, [H,W] bool."""
    score: float
    """Confidence of the source in the object, 0..1."""


class ProposalSource(Protocol):
    """Finds what may be objects in one frame.

    Args:
        frame: RGB [H,W,3] uint8.
        foreground: probability of foreground [H,W] float32, by the object-level method.

    Returns:
        Any number of proposals in any order; they may overlap.
    """

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> Sequence[Proposal]: ...
