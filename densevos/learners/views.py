"""Two views of a clip, related by a known similarity transform (DUL, Sec. 3.3)."""

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
    """[B,2,3]: normalised coordinates of the second view -> the first (`affine_grid`,
    align_corners=False).
    """


def draw_theta(batch: int, config: ViewConfig, generator: torch.Generator) -> Tensor:
    """Random crops as affine maps [B,2,3]: side from `zoom`, any place inside the first view,
    mirrored or not.
    """
    low, high = config.zoom
    scale, where_x, where_y, coin = torch.rand(4, batch, generator=generator)
    scale = low + (high - low) * scale
    sign = torch.where(coin < 0.5, -1.0, 1.0) if config.flip else torch.ones(batch)
    theta = torch.zeros(batch, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = sign * scale, scale
    theta[:, 0, 2], theta[:, 1, 2] = (
        (1 - scale) * (2 * where_x - 1),
        (1 - scale) * (2 * where_y - 1),
    )

    return theta


def warp(frames: Tensor, theta: Tensor) -> Tensor:
    """Frames [B,T,C,H,W] seen through theta [B,2,3], bilinear, the same for all frames of a
    clip.
    """
    grid = F.affine_grid(theta.to(frames), [len(theta), 1, *frames.shape[-2:]], align_corners=False)
    stacked = frames.flatten(1, 2)  # [B,TC,H,W]: one grid serves all frames
    return F.grid_sample(
        stacked, grid, mode="bilinear", padding_mode="border", align_corners=False
    ).view_as(frames)


def make_views(frames: Tensor, config: ViewConfig, generator: torch.Generator) -> Views:
    """Normalised frames [B,T,3,H,W] and their transformed copy."""
    theta = own_share(draw_theta(len(frames) * world_size(), config, generator)).to(
        frames.device, non_blocking=True
    )
    return Views(frames, warp(frames, theta), theta)
