"""The cheapest proposals: connected parts of the object-level mask.

Objects that touch each other are one proposal.
"""

# Shapes: H x W pixels of a frame.

from dataclasses import dataclass

import cv2
import numpy as np

from densevos_eval.zeroshot.proposals.proposal import Proposal


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A `ProposalSource` of the connected parts of the foreground.

    The score of a part is its mean probability.
    """

    threshold: float = 0.5
    """Foreground threshold on the probability."""
    smallest: float = 0.001
    """Area of the smallest part, as a share of the frame."""

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """Find the parts of one frame.

        Args:
            frame: not used.
            foreground: probability of foreground [H,W] float32.

        Returns:
            The parts, in the order of their first pixels; none without foreground.
        """
        least = self.smallest * foreground.size
        proposals = []
        for part in connected_parts(foreground >= self.threshold):
            if part.sum() >= least:
                proposals.append(Proposal(mask=part, score=float(foreground[part].mean())))

        return proposals


def connected_parts(mask: np.ndarray) -> list[np.ndarray]:
    """Find the connected parts [H,W] bool of a mask [H,W] bool.

    Pixels that share a corner are connected.
    """
    # Label 0 is the background.
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    return [labels == label for label in range(1, count)]
