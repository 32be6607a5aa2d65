"""Pixel cross entropy on labelled frames (image-to-video, Eq. 4)."""

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.masks import VOID


def segmentation_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """L_seg of Eq. 4 with its missing minus, as a mean over labelled pixels weighted by class: a
    scalar.

    logits [B,K,H,W]; labels [B,H,W] uint8 or int64, class ids or VOID; weights [K] or None for
    equal ones. 0 that touches the logits where no pixel has a label.
    """
    labels = labels.long()
    # Reduced here: the reductions of cross_entropy are not deterministic on a GPU.
    errors = F.cross_entropy(
        logits.float(), labels, weights, ignore_index=VOID, reduction="none"
    ).sum()
    known = labels != VOID
    counted = known if weights is None else weights[labels.where(known, 0)] * known
    total = counted.sum()

    return errors / torch.where(total > 0, total, 1)


def class_weights(pixels: Tensor) -> Tensor:
    """Weights [K] from the number of pixels [K] of each class: median frequency / frequency,
    float32.

    The papers do not tell their formula; this is median frequency balancing (Eigen and Fergus, ICCV
    2015) over the classes that occur. One that does not occur gets 1.
    """
    pixels = pixels.float()
    occurring = pixels > 0
    middle = pixels[occurring].median()
    return torch.where(occurring, middle / pixels.clamp(min=1), 1.0)
