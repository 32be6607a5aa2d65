"""Anchors: features sampled on a jittered grid (DUL, Sec. 3.3), and the alignment of two views."""

# Shapes: B clips, K channels of a key, h x w cells of the feature map, n sampled cells.

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
    """Sample one cell of the map for each cell of a coarser grid: G_N of the paper.

    All samples of a clip share one random offset. Without it the network finds shortcuts
    (Sec. 3.5).

    Args:
        batch: B, the number of clips.
        height: h, rows of the feature map.
        width: w, columns of the feature map.
        cells: N, the number of grid cells along each side.
        generator: Source of the random offsets; it is on the CPU.
        jitter: Draw the offsets; otherwise take the middle of every grid cell.

    Returns:
        Flat cell indices [B,N*N] int64, row by row.

    Raises:
        ValueError: The grid is finer than the map.

    >>> grid_indices(1, 4, 4, 2, torch.Generator(), jitter=False).tolist()
    [[5, 7, 13, 15]]
    """
    if cells > min(height, width):
        raise ValueError(
            f"grid of {cells} x {cells} anchors is finer than the {height} x {width} feature map"
        )

    # Offsets are smaller than a step, so no sample leaves its grid cell.
    step_y, step_x = height // cells, width // cells
    if jitter:
        offset_y = torch.randint(step_y, (batch, 1), generator=generator)
        offset_x = torch.randint(step_x, (batch, 1), generator=generator)
    else:
        offset_y = torch.full((batch, 1), step_y // 2)
        offset_x = torch.full((batch, 1), step_x // 2)

    rows = torch.arange(cells) * step_y + offset_y  # [B,N]
    columns = torch.arange(cells) * step_x + offset_x  # [B,N]

    # [B,N,1] and [B,1,N] give the flat index of every row and column: [B,N,N] -> [B,N*N].
    return (rows[:, :, None] * width + columns[:, None, :]).flatten(1)


def gather_cells(features: Tensor, indices: Tensor) -> Tensor:
    """Take the features at given cells; the gradient flows into the features.

    Args:
        features: [B,K,h,w].
        indices: Flat cell indices [B,n] int64, on any device.

    Returns:
        The chosen features [B,n,K].
    """
    flat = features.flatten(2).transpose(1, 2)  # [B,hw,K]
    indices = indices.to(features.device, non_blocking=True)
    # The indices are repeated for all K channels: [B,n] -> [B,n,K].
    return flat.gather(1, indices[:, :, None].expand(-1, -1, flat.shape[2]))


def align(features: Tensor, theta: Tensor) -> Tensor:
    """Move features of the first view onto the second: T(.) of Eqs. 3 and 4.

    Sampling takes the nearest neighbour, so each cell of the result is one cell of the input.

    Args:
        features: [B,K,h,w] of the first view.
        theta: [B,2,3], maps normalised coordinates of the second view to the first (`affine_grid`,
            align_corners=False).

    Returns:
        The moved features [B,K,h,w]; cells from outside the first view are 0.
    """
    # Nearest, because an average of neighbours would be a feature that no cell has.
    grid = F.affine_grid(theta, list(features.shape), align_corners=False)
    return F.grid_sample(features, grid, mode="nearest", padding_mode="zeros", align_corners=False)
