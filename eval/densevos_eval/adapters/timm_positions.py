"""Interpolate position embeddings like DINO's program, in a vision transformer of timm."""

# Shapes: B batch, C channels of a token, h x w cells of the frame, gh x gw cells of the table.

import copy
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

OFFSET = 0.1
"""DINO adds this to the number of cells of a side, so that rounding never loses a cell."""


def can_interpolate(model: Any) -> bool:
    """Whether `with_dino_positions` works for a model: it must add a table [1,tokens,C]."""
    table = getattr(model, "pos_embed", None)
    return (
        isinstance(table, Tensor)
        and table.ndim == 3
        and hasattr(model, "_pos_embed")
        and bool(getattr(model, "dynamic_img_size", False))
    )


def with_dino_positions(model: Any) -> Any:
    """A copy of a model that interpolates positions like DINO, DINOv2 and CropMAE.

    timm stretches its table over the frame and antialiases. `interpolate_pos_encoding` of DINO
    samples it bicubically (a = -.75), without antialiasing, at steps of side / (n + .1) for n cells
    of the frame.

    Args:
        model: A vision transformer of timm for which `can_interpolate` holds. The copy shares its
            weights.
    """
    # A shallow copy has the same modules, so the weights take no more memory.
    other = copy.copy(model)
    other._pos_embed = MethodType(_add_positions, other)
    return other


def interpolated(table: Tensor, sides: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """Interpolate a table of positions to the cells of a frame.

    Args:
        table: Positions [1,gh*gw,C].
        sides: (gh, gw) of the table.
        cells: (h, w) of the frame.

    Returns:
        Positions [1,h*w,C].
    """
    if sides == cells:
        return table

    # [1,gh*gw,C] -> [1,C,gh,gw], the order of axes that interpolation takes.
    grid = table.float().unflatten(1, sides).permute(0, 3, 1, 2)
    scale = [(cell + OFFSET) / side for cell, side in zip(cells, sides, strict=True)]
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    # [1,C,h,w] -> [1,h*w,C], in the type of the table.
    return grid.flatten(2).transpose(1, 2).to(table.dtype)


def _add_positions(self: Any, patches: Tensor) -> Tensor:
    """Patches [B,h,w,C] -> tokens [B,prefix+h*w,C]; replaces `_pos_embed` of the model."""
    batch, height, width, channels = patches.shape
    # [B,h,w,C] -> [B,h*w,C].
    tokens = patches.reshape(batch, -1, channels)

    # Class and register tokens come before the patches.
    prefix = []
    for token in (self.cls_token, self.reg_token):
        if token is not None:
            prefix.append(token.expand(batch, -1, -1))

    # In some models they have positions too, which are at the start of the table.
    count = 0 if self.no_embed_class else self.num_prefix_tokens
    prefix_table, table = self.pos_embed[:, :count], self.pos_embed[:, count:]
    table = interpolated(table, tuple(self.patch_embed.grid_size), (height, width))
    placed: Tensor
    if self.no_embed_class:
        placed = self.pos_drop(torch.cat([*prefix, tokens + table], dim=1))
        return placed

    positions = torch.cat([prefix_table, table], dim=1)
    placed = self.pos_drop(torch.cat([*prefix, tokens], dim=1) + positions)
    return placed
