"""Proposals of a segmentation network of this project: the connected parts of each class."""

# Shapes: K classes, H x W pixels of a frame, h x w pixels at the size that the network sees.

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
    """A `ProposalSource` of the connected parts of each class.

    The score of a part is the mean probability of its class. A class named background yields no
    proposals. A network of clips sees each frame like an image.
    """

    classifier: Classifier
    """Predicts the classes of pixels."""
    smallest: float = 0.001
    """Area of the smallest part, as a share of the frame."""

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """Find the parts of one frame.

        Args:
            frame: RGB [H,W,3] uint8.
            foreground: not used.

        Returns:
            The parts, class by class; none if the whole frame is background.
        """
        # One frame: a clip of length 1.
        logits = self.classifier.logits(frame[None])[0]
        ids = class_of_pixels(logits, frame.shape[:2]).cpu().numpy()
        sureness = _sureness(logits, frame.shape[:2])

        proposals: list[Proposal] = []
        for id in np.unique(ids).tolist():
            if self.classifier.classes[id] == BACKGROUND:
                continue

            # Tiny parts are mostly errors along the borders of other classes.
            for part in connected_parts(ids == id):
                if part.sum() >= self.smallest * part.size:
                    proposals.append(Proposal(mask=part, score=float(sureness[part].mean())))

        return proposals


@torch.inference_mode()
def _sureness(logits: torch.Tensor, size: tuple[int, ...]) -> np.ndarray:
    """Probability of the most probable class, [H,W] float32 at `size`, of logits [K,h,w]."""
    # Only the maximum is enlarged: all classes at the frame's size would take gigabytes.
    # [K,h,w] -> [1,1,h,w], as interpolation takes it.
    highest = logits.softmax(dim=0).amax(dim=0)[None, None]
    return F.interpolate(highest, size, mode="bilinear", align_corners=False)[0, 0].cpu().numpy()
