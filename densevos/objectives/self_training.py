"""Space-time self-training: assign features of all frames to the clip's anchors (DUL, Eqs. 1-3)."""

# Shapes: B clips, T frames, K channels of a key, h x w cells of the feature map, n anchors per
# clip, A anchors of all clips.

import torch
from torch import Tensor
from torch.nn import functional as F


def pseudo_labels(regularising_keys: Tensor, own_anchors: Tensor) -> Tensor:
    """The dominant own anchor of each feature of the second view (Eq. 2).

    The softmax over all anchors keeps the order of the similarities. Its argmax, restricted to the
    clip's own anchors, is therefore the argmax of the own similarities.

    Args:
        regularising_keys: Unit keys [B,T,K,h,w] of the second view.
        own_anchors: Anchors of each clip, [B,n,K].

    Returns:
        Labels [B,T,h,w] in 0..n-1.
    """
    similarity = torch.einsum("btkhw,bnk->btnhw", regularising_keys, own_anchors)
    return similarity.argmax(dim=2)


def self_training_error(
    keys: Tensor, anchors: Tensor, labels: Tensor, temperature: float
) -> Tensor:
    """Cross entropy of the affinity to all anchors (Eq. 1) against the pseudo-labels.

    L_ST (Eq. 3) is the mean of this error over all frames except the reference.

    Args:
        keys: Unit keys [B,T,K,h,w] of the first view, aligned to the second.
        anchors: Anchors of all clips, [A,K].
        labels: [B,T,h,w], rows of `anchors`.
        temperature: tau.

    Returns:
        The error of each cell, [B,T,h,w].
    """
    affinity = torch.einsum("btkhw,ak->bthwa", keys, anchors) / temperature
    return F.cross_entropy(affinity.flatten(0, 3), labels.flatten(), reduction="none").view(
        labels.shape
    )


def own_rows(labels: Tensor, anchors_per_clip: int, first_clip: int = 0) -> Tensor:
    """Turn labels among a clip's own anchors into rows of the anchors of all clips.

    Args:
        labels: [B,T,h,w] in 0..n-1.
        anchors_per_clip: n.
        first_clip: Number of the first clip among those of all processes.

    Returns:
        [B,T,h,w]; the anchors are in the order of the clips.

    >>> labels = torch.zeros(2, 1, 1, 1, dtype=torch.int64)
    >>> own_rows(labels, anchors_per_clip=64).flatten().tolist()
    [0, 64]
    """
    clips = torch.arange(first_clip, first_clip + labels.shape[0], device=labels.device)
    return labels + anchors_per_clip * clips.view(-1, 1, 1, 1)
