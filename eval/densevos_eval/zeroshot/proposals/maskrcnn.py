"""Proposals of Mask R-CNN (He et al., ICCV 2017), its classes ignored: torchvision's
maskrcnn_resnet50_fpn_v2.

It was trained with masks of 80 classes, so what it makes is not free of labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision.models.detection import maskrcnn_resnet50_fpn_v2
from torchvision.ops import nms

from densevos.models.pretrained import load_published
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.zeroshot.proposals.proposal import Proposal

NAME = "maskrcnn_resnet50_fpn_v2"
SHORT_SIDE = 800
"""Shorter side at which the network sees frames, in pixels, as in its training."""


@dataclass(frozen=True, kw_only=True)
class MaskRcnn:
    """A `ProposalSource` of the objects that a trained network sees."""

    network: nn.Module
    """Images [3,H,W] in 0..1 -> for each boxes [N,4], scores [N] and soft masks [N,1,H,W]."""
    device: torch.device
    weights: str
    """Where its weights are from."""
    least_score: float = 0.1
    """Proposals of lower scores do not count."""
    most_overlap: float = 0.5
    """Highest IoU of two boxes, whatever their classes; of two that overlap more, the one with the
    higher score stays."""
    threshold: float = 0.5
    """Threshold on the soft masks."""

    @property
    def inputs(self) -> Sequence[Path]:
        """The file of the weights, if they are from one."""
        file = Path(self.weights)
        return [file] if file.is_file() else []

    def settings(self) -> dict[str, Any]:
        """What the proposals depend on besides the frames."""
        return {
            "proposal_weights": fingerprint(self.inputs) if self.inputs else self.weights,
            "maskrcnn_least_score": self.least_score,
            "maskrcnn_most_overlap": self.most_overlap,
            "maskrcnn_threshold": self.threshold,
        }

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """The objects of one frame, highest score first; the foreground is not looked at."""
        pixels = torch.from_numpy(np.array(frame)).permute(2, 0, 1).float().div(255).to(self.device)
        (found,) = self.network([pixels])

        sure = found["scores"] > self.least_score
        boxes, scores, masks = found["boxes"][sure], found["scores"][sure], found["masks"][sure]
        # The network suppresses within each class only.
        stay = nms(boxes, scores, self.most_overlap)

        solid = (masks[stay, 0] > self.threshold).cpu().numpy()
        pairs = zip(solid, scores[stay].tolist(), strict=True)
        return [Proposal(mask=mask, score=score) for mask, score in pairs if mask.any()]


def load_mask_rcnn(weights: str, device: str, short_side: int = SHORT_SIDE) -> MaskRcnn:
    """The network with weights of torchvision (COCO_V1), which are downloaded once, or of a file.

    Args:
        weights: Name or file.
        device: Where it runs, such as cpu or cuda:0.
        short_side: Shorter side at which it sees frames, in pixels.

    Raises:
        InputError: The weights cannot be fetched or read, or are of another network.
    """
    with torch.device("meta"):  # without random weights, whose making takes seconds
        network = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, min_size=short_side)

    load_published(network, NAME, weights, "--proposal-weights")
    place = torch.device(device)
    return MaskRcnn(network=network.eval().to(place), device=place, weights=weights)
