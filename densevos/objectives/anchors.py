"""Anchors: features sampled on a jittered grid (DUL, Sec. 3.3), and the alignment of two views."""

import torch
from torch import Tensor
from torch.nn import functional as F


def grid_indices(
    batch: int,
    height: int,
    width: int,
    cells: int,
    generator: torch.Generator,
    *,
    jitter: bool = True,
) -> Tensor:
    """One cell index per cell of a cells x cells grid on a height x width map: [B, cells*cells]
    int64, row-major.

    All cells of one clip share one random offset (G_N of the paper; without the jitter the network
    finds shortcuts, Sec. 3.5). Raises ValueError when the grid is finer than the map.
    """
    if cells > min(height, width):
        raise ValueError(
            f"grid of {cells} x {cells} anchors is finer than the {height} x {width} feature map"
        )

    step_y, step_x = height // cells, width // cells
    offset_y = (
        torch.randint(step_y, (batch, 1), generator=generator)
        if jitter
        else torch.full((batch, 1), step_y // 2)
    )
    offset_x = (
        torch.randint(step_x, (batch, 1), generator=generator)
        if jitter
        else torch.full((batch, 1), step_x // 2)
    )
    rows = torch.arange(cells) * step_y + offset_y  # [B,N]
    columns = torch.arange(cells) * step_x + offset_x  # [B,N]

    return (rows[:, :, None] * width + columns[:, None, :]).flatten(1)


def gather_cells(features: Tensor, indices: Tensor) -> Tensor:
    """Features [B,K,h,w] at cell indices [B,n] -> [B,n,K]; the gradient flows into the features."""
    flat = features.flatten(2).transpose(1, 2)  # [B,hw,K]
    indices = indices.to(features.device, non_blocking=True)
    return flat.gather(1, indices[:, :, None].expand(-1, -1, flat.shape[2]))


def align(features: Tensor, theta: Tensor) -> Tensor:
    """Move features [B,K,h,w] of the first view onto the second: T(.) of Eqs. 3 and 4.

    `theta` [B,2,3] maps normalised coordinates of the second view to the first (`affine_grid`,
    align_corners=False). Nearest neighbour: each cell of the result is one cell of the input.
    """
    grid = F.affine_grid(theta, list(features.shape), align_corners=False)
    return F.grid_sample(features, grid, mode="nearest", padding_mode="zeros", align_corners=False)
