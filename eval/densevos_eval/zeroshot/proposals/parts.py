"""The cheapest proposals: connected parts of the object-level mask. Objects that touch are one
proposal.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from densevos_eval.zeroshot.proposals.proposal import Proposal


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A `ProposalSource` of the connected parts of the foreground; the score of a part is its mean
    probability.
    """

    threshold: float = 0.5
    """Foreground threshold on the probability."""
    smallest: float = 0.001
    """Smallest part, as a share of the frame."""

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """The parts of one frame, in the order of their first pixels; none where there is no
        foreground.
        """
        least = self.smallest * foreground.size
        parts = connected_parts(foreground >= self.threshold)
        return [
            Proposal(mask=part, score=float(foreground[part].mean()))
            for part in parts
            if part.sum() >= least
        ]


def connected_parts(mask: np.ndarray) -> list[np.ndarray]:
    """The connected parts [H,W] bool of a mask [H,W] bool; pixels that share a corner are
    connected.
    """
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [labels == label for label in range(1, count)]
