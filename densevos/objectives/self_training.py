"""Space-time self-training: assign every frame's features to the anchors of its clip (DUL, Eqs.
1-3).
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def pseudo_labels(regularising_keys: Tensor, own_anchors: Tensor) -> Tensor:
    """Dominant own anchor of each feature of the second view (Eq. 2).

    `regularising_keys` [B,T,K,h,w] and `own_anchors` [B,n,K] -> labels [B,T,h,w] in 0..n-1. The
    argmax of the softmax over all anchors, restricted to the clip's own, is the argmax of the own
    similarities.
    """
    similarity = torch.einsum("btkhw,bnk->btnhw", regularising_keys, own_anchors)
    return similarity.argmax(dim=2)


def self_training_error(
    keys: Tensor, anchors: Tensor, labels: Tensor, temperature: float
) -> Tensor:
    """Cross entropy of the affinity to all anchors (Eq. 1) against the pseudo-labels, per cell.

    `keys` [B,T,K,h,w] (first view, aligned to the second), `anchors` [A,K] of all clips, `labels`
    [B,T,h,w] as rows of `anchors` -> error [B,T,h,w]. L_ST (Eq. 3) is its mean over the frames that
    are not the reference.
    """
    affinity = torch.einsum("btkhw,ak->bthwa", keys, anchors) / temperature
    return F.cross_entropy(affinity.flatten(0, 3), labels.flatten(), reduction="none").view(
        labels.shape
    )


def own_rows(labels: Tensor, anchors_per_clip: int, first_clip: int = 0) -> Tensor:
    """Labels [B,T,h,w] among a clip's own anchors -> rows of the anchors of all clips, clip after
    clip.
    """
    clips = torch.arange(first_clip, first_clip + labels.shape[0], device=labels.device)
    return labels + anchors_per_clip * clips.view(-1, 1, 1, 1)
