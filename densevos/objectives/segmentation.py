"""Pixel cross entropy on labelled frames (image-to-video, Eq. 4)."""

# Shapes: B frames of H x W pixels, K classes.

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.masks import VOID


def segmentation_loss(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """L_seg of Eq. 4 with its missing minus, as a mean over labelled pixels weighted by class.

    Args:
        logits: [B,K,H,W].
        labels: [B,H,W] uint8 or int64, class ids or VOID.
        weights: Weight of each class, [K]; None for equal weights.

    Returns:
        A scalar. If no pixel has a label it is a 0 that depends on the logits.
    """
    labels = labels.long()
    # Reduced here: the reductions of cross_entropy are not deterministic on a GPU.
    errors = F.cross_entropy(
        logits.float(), labels, weights, ignore_index=VOID, reduction="none"
    ).sum()

    # VOID is no index of a weight, so such pixels look up class 0 and are then multiplied by 0.
    known = labels != VOID
    counted = known if weights is None else weights[labels.where(known, 0)] * known
    total = counted.sum()

    return errors / torch.where(total > 0, total, 1)


def class_weights(pixels: Tensor) -> Tensor:
    """Class weights by median frequency balancing: median frequency / frequency.

    The papers do not give their formula. This one is by Eigen and Fergus (ICCV 2015), over the
    classes that occur.

    Args:
        pixels: Number of pixels of each class, [K].

    Returns:
        Weights [K] float32; 1 for a class that does not occur.

    >>> class_weights(torch.tensor([800, 200, 100, 0])).tolist()
    [0.25, 1.0, 2.0, 1.0]
    """
    pixels = pixels.float()
    occurring = pixels > 0
    middle = pixels[occurring].median()
    return torch.where(occurring, middle / pixels.clamp(min=1), 1.0)
