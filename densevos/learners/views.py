"""Two views of a clip, related by a known similarity transform (DUL, Sec. 3.3)."""

# Shapes: B clips, T frames, C channels, H x W pixels.

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.config import ViewConfig
from densevos.engine.distributed import own_share, world_size


@dataclass(frozen=True)
class Views:
    """Two views of B clips and the transform between them."""

    first: Tensor
    """[B,T,3,H,W] float, normalised."""
    second: Tensor
    """[B,T,3,H,W] float, normalised."""
    theta: Tensor
    """Maps normalised coordinates of the second view to the first, [B,2,3].

    The convention is that of `affine_grid` with align_corners=False.
    """


def draw_theta(batch: int, config: ViewConfig, generator: torch.Generator) -> Tensor:
    """Draw random crops as affine maps.

    The side of a crop is drawn from `zoom`. A crop can lie anywhere inside the first view, and it
    is mirrored with probability one half.

    Args:
        batch: B, the number of clips.
        config: Range of the zoom, and whether to mirror.
        generator: Source of the draws; it is on the CPU.

    Returns:
        [B,2,3] float32.
    """
    low, high = config.zoom
    scale, where_x, where_y, coin = torch.rand(4, batch, generator=generator)
    scale = low + (high - low) * scale
    sign = torch.where(coin < 0.5, -1.0, 1.0) if config.flip else torch.ones(batch)

    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = sign * scale, scale
    # The view spans [-1,1]: a crop of side `scale` fits if its centre is within 1 - scale of 0.
    theta[:, 0, 2] = (1 - scale) * (2 * where_x - 1)
    theta[:, 1, 2] = (1 - scale) * (2 * where_y - 1)

    return theta


def warp(frames: Tensor, theta: Tensor) -> Tensor:
    """Warp clips; all frames of a clip share one transform.

    Args:
        frames: [B,T,C,H,W] float.
        theta: [B,2,3], maps coordinates of the result to those of the frames.

    Returns:
        [B,T,C,H,W], sampled bilinearly.
    """
    grid = F.affine_grid(theta.to(frames), [len(theta), 1, *frames.shape[-2:]], align_corners=False)
    stacked = frames.flatten(1, 2)  # [B,TC,H,W]: one grid serves all frames
    return F.grid_sample(
        stacked, grid, mode="bilinear", padding_mode="border", align_corners=False
    ).view_as(frames)


def make_views(frames: Tensor, config: ViewConfig, generator: torch.Generator) -> Views:
    """Pair clips with a randomly transformed copy.

    Args:
        frames: [B,T,3,H,W] float, normalised.
        config: How to draw the transform.
        generator: Source of the draws; it is on the CPU.
    """
    # All processes draw for the whole batch, so that draws do not depend on their number.
    theta = own_share(draw_theta(len(frames) * world_size(), config, generator))
    theta = theta.to(frames.device, non_blocking=True)
    return Views(frames, warp(frames, theta), theta)
