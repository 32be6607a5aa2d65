"""Long-term granularity: two distant frames match up to a transformation (MuG, Eqs. 6-8)."""

# Shapes: N pairs of frames i and j, C channels, h x w cells of each frame's embeddings.

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint


def cosines(source: Tensor, target: Tensor) -> Tensor:
    """x_i^T x_j of Eq. 6, for all pairs of cells.

    Args:
        source: Unit embeddings [N,C,h,w] of frames i.
        target: Unit embeddings [N,C,h,w] of frames j.

    Returns:
        [N,h*w,h*w]; rows are cells of i, columns cells of j.
    """
    return source.flatten(2).transpose(1, 2) @ target.flatten(2)


def affinity(similarity: Tensor, temperature: float) -> Tensor:
    """A_ij of Eq. 6: a softmax over the cells of i, so that every column sums to 1.

    Args:
        similarity: Cosines [N,h*w,h*w].
        temperature: Divides the cosines. The paper has none, but a softmax of bare cosines over
            thousands of cells is flat.

    Returns:
        [N,h*w,h*w].
    """
    return torch.softmax(similarity / temperature, dim=1)


def inlier_score(affinities: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    """The inner double sum of Eq. 8 for each pair, divided by the number of cells.

    iota is soft, as in weakly supervised alignment (Rocco et al., CVPR 2018): each cell of i is
    spread over its 3x3 neighbours and warped by tau, so that theta has a gradient.

    Args:
        affinities: A_ij [N,h*w,h*w].
        theta: tau of Eq. 7, [N,2,3]: normalised coordinates of frame j -> frame i (corners
            aligned).
        size: (h, w).

    Returns:
        [N] in [0,1].
    """
    # The box sums are as large as the affinities. The backward pass computes them again instead of
    # keeping them in memory.
    return checkpoint(
        _inlier_score, affinities, theta, size, use_reentrant=False, preserve_rng_state=False
    )


def _inlier_score(affinities: Tensor, theta: Tensor, size: tuple[int, int]) -> Tensor:
    # The mask [h*w,h,w] of Rocco et al. is never built. The sum over frame i of mask times column
    # is the column's 3x3 box sum, sampled bilinearly at tau(o_j).
    count, cells, _ = affinities.shape
    columns = affinities.transpose(1, 2).reshape(count * cells, 1, *size)
    boxes = F.avg_pool2d(columns, 3, stride=1, padding=1) * 9
    grid = F.affine_grid(theta, [count, 1, *size], align_corners=True)
    sampled = F.grid_sample(boxes, grid.reshape(count * cells, 1, 1, 2), align_corners=True)

    return sampled.view(count, cells).sum(1) / cells


def matching_loss(
    forward: Tensor,
    backward: Tensor,
    theta: Tensor,
    theta_back: Tensor,
    size: tuple[int, int],
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """Eq. 8 as a mean over pairs.

    Args:
        forward: Affinities A_ij [N,h*w,h*w].
        backward: Affinities A_ji [N,h*w,h*w].
        theta: tau_ij [N,2,3].
        theta_back: tau_ji [N,2,3].
        size: (h, w).
        reduction: Over cells: `mean`, or the paper's `sum`, which is h*w times as large.

    Returns:
        A scalar. With the mean over cells it is between -2 and 0: each direction gives at most 1.
    """
    scores = inlier_score(forward, theta, size) + inlier_score(backward, theta_back, size)
    score = scores.mean()
    cells = forward.shape[-1]
    return -score * (cells if reduction == "sum" else 1)
