"""Long-term granularity: two distant frames match up to a geometric transformation (MuG, Eqs.
6-8).
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def cosines(source: Tensor, target: Tensor) -> Tensor:
    """x_i^T x_j of Eq. 6 for unit embeddings [N,C,h,w] of frames i and j: [N,h*w,h*w], rows are
    cells of i.
    """
    return source.flatten(2).transpose(1, 2) @ target.flatten(2)


def affinity(similarity: Tensor, temperature: float) -> Tensor:
    """A_ij of Eq. 6 from cosines [N,h*w,h*w]: every column (a cell of j) sums to 1.

    The paper has no temperature; cosines over thousands of cells are flat without one.
    """
    return torch.softmax(similarity / temperature, dim=1)


def inlier_score(affinities: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """The inner double sum of Eq. 8 per pair, divided by the number of cells: [N,h*w,h*w], [N,2,3]
    -> [N] in [0,1].

    theta: tau of Eq. 7, normalised coordinates of frame j -> frame i (corners aligned). iota is
    soft, as in weakly supervised alignment (Rocco et al., CVPR 2018): each cell of i spread over
    its 3x3 neighbours and warped by tau, so that theta has a gradient. The mask [h*w,h,w] of that
    paper is never built: the sum over frame i of mask times column is the column's 3x3 box sum,
    sampled bilinearly at tau(o_j). Box sums are as large as the affinities, so the backward pass
    computes them again.
    """
    return checkpoint(
        _inlier_score, affinities, theta, size, use_reentrant=False, preserve_rng_state=False
    )


def _inlier_score(affinities: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    count, cells, _ = affinities.shape
    columns = affinities.transpose(1, 2).reshape(count * cells, 1, *size)
    boxes = F.avg_pool2d(columns, 3, stride=1, padding=1) * 9
    grid = F.affine_grid(theta, [count, 1, *size], align_corners=True)
    sampled = F.grid_sample(boxes, grid.reshape(count * cells, 1, 1, 2), align_corners=True)

    return sampled.view(count, cells).sum(1) / cells


def matching_loss(
    there: Tensor,
    back: Tensor,
    theta: Tensor,
    theta_back: Tensor,
    size: tuple[int, int],
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Eq. 8, mean over pairs: affinities A_ij and A_ji [N,h*w,h*w] with tau_ij and tau_ji [N,2,3]
    -> a scalar.

    Mean over cells: between -2 and 0, each direction gives at most 1. The paper has the sum, h*w
    times as much.
    """
    score = (inlier_score(there, theta, size) + inlier_score(back, theta_back, size)).mean()
    return -score * (there.shape[-1] if reduction == "sum" else 1)
