"""Proposals of a segmentation network of this project: the connected parts of each class, whose
name is forgotten.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from densevos_eval.segmentation.classifier import Classifier, class_of_pixels
from densevos_eval.zeroshot.proposals.parts import connected_parts
from densevos_eval.zeroshot.proposals.proposal import Proposal

BACKGROUND = "background"


@dataclass(frozen=True, kw_only=True)
class Segments:
    """A `ProposalSource`; the score of a part is the mean probability of its class.

    A class of the name background makes no proposals. A network of clips sees each frame as it sees
    an image.
    """

    classifier: Classifier
    """The network, ready to tell the classes of pixels."""
    smallest: float = 0.001
    """Smallest part, as a share of the frame."""

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """The parts of one frame, class by class; none where there is background alone."""
        logits = self.classifier.logits(frame[None])[0]
        ids = class_of_pixels(logits, frame.shape[:2]).cpu().numpy()
        sureness = _sureness(logits, frame.shape[:2])

        proposals: list[Proposal] = []
        for id in np.unique(ids).tolist():
            if self.classifier.classes[id] == BACKGROUND:
                continue

            for part in connected_parts(ids == id):
                if part.sum() >= self.smallest * part.size:
                    proposals.append(Proposal(mask=part, score=float(sureness[part].mean())))

        return proposals


@torch.inference_mode()
def _sureness(logits: torch.Tensor, size: tuple[int, ...]) -> np.ndarray:
    """Logits [K,h,w] -> probability of the most probable class, [H,W] float32 at `size`."""
    highest = logits.softmax(dim=0).amax(dim=0)[None, None]
    return F.interpolate(highest, size, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()
