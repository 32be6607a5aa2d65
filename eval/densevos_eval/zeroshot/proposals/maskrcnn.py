"""Proposals of Mask R-CNN (He et al., ICCV 2017), without its classes.

The network is torchvision's maskrcnn_resnet50_fpn_v2. It was trained with masks of 80 classes, so
results that use it are not free of labels.
"""

# Shapes: N objects of a frame, H x W pixels of a frame.

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
"""Short side that frames are scaled to for the network, in pixels, as in its training."""


@dataclass(frozen=True, kw_only=True)
class MaskRcnn:
    """A `ProposalSource` of the objects that a trained network detects."""

    network: nn.Module
    """Images [3,H,W] in 0..1 -> for each: boxes [N,4], scores [N] and soft masks [N,1,H,W]."""
    device: torch.device
    weights: str
    """Name or file of the weights."""
    least_score: float = 0.1
    """Proposals need a score above this."""
    most_overlap: float = 0.5
    """Highest IoU of two boxes, whatever their classes; of two that overlap more, the one with the
    higher score is kept."""
    threshold: float = 0.5
    """Threshold on the soft masks."""

    @property
    def inputs(self) -> Sequence[Path]:
        """The file of the weights, if they were loaded from one."""
        file = Path(self.weights)
        return [file] if file.is_file() else []

    def settings(self) -> dict[str, Any]:
        """Settings that the proposals depend on besides the frames."""
        return {
            "proposal_weights": fingerprint(self.inputs) if self.inputs else self.weights,
            "maskrcnn_least_score": self.least_score,
            "maskrcnn_most_overlap": self.most_overlap,
            "maskrcnn_threshold": self.threshold,
        }

    @torch.inference_mode()
    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """Detect the objects of one frame.

        Args:
            frame: RGB [H,W,3] uint8.
            foreground: not used.

        Returns:
            The objects, highest score first.
        """
        # [H,W,3] -> [3,H,W] in 0..1. The network normalises and scales it by itself.
        pixels = torch.from_numpy(np.array(frame)).permute(2, 0, 1).float().div(255).to(self.device)
        detected = self.network([pixels])[0]

        sure = detected["scores"] > self.least_score
        boxes, scores = detected["boxes"][sure], detected["scores"][sure]
        soft_masks = detected["masks"][sure]
        # The network itself suppresses boxes within each class only.
        kept = nms(boxes, scores, self.most_overlap)

        # [N,1,H,W] -> [N,H,W].
        masks = (soft_masks[kept, 0] > self.threshold).cpu().numpy()
        pairs = zip(masks, scores[kept].tolist(), strict=True)
        return [Proposal(mask=mask, score=score) for mask, score in pairs if mask.any()]


def load_mask_rcnn(weights: str, device: str, short_side: int = SHORT_SIDE) -> MaskRcnn:
    """Load the network, with published weights or those of a file.

    Args:
        weights: a name of torchvision, such as COCO_V1, whose weights are downloaded once; or a
            file.
        device: where the network runs, such as cpu or cuda:0.
        short_side: short side that frames are scaled to for the network, in pixels.

    Raises:
        InputError: if the weights cannot be downloaded or read, or are of another network.
    """
    # On the meta device no random weights are drawn, which would take seconds.
    with torch.device("meta"):
        network = maskrcnn_resnet50_fpn_v2(weights=None, weights_backbone=None, min_size=short_side)

    load_published(network, NAME, weights, "--proposal-weights")
    place = torch.device(device)
    return MaskRcnn(network=network.eval().to(place), device=place, weights=weights)
