"""Position embeddings interpolated as DINO's program does, in a vision transformer of timm's."""

import copy
from types import MethodType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

OFFSET = 0.1
"""What DINO adds to the cells of a side before it divides, so that rounding never loses a cell."""


def can_interpolate(model: Any) -> bool:
    """Whether a model adds a table of positions [1,tokens,C] in the way that is replaced here."""
    table = getattr(model, "pos_embed", None)
    return (
        isinstance(table, Tensor)
        and table.ndim == 3
        and hasattr(model, "_pos_embed")
        and bool(getattr(model, "dynamic_img_size", False))
    )


def with_dino_positions(model: Any) -> Any:
    """The model, sharing its weights, with positions as in `interpolate_pos_encoding` of DINO (and
    DINOv2, CropMAE).

    timm stretches its table over the frame, and antialiases. DINO samples it bicubically (a =
    -.75), without, at steps of side / (n + .1), n the cells of the frame.
    """
    other = copy.copy(model)  # the modules, and so the weights, are the same objects
    other._pos_embed = MethodType(_add_positions, other)
    return other


def interpolated(table: Tensor, sides: tuple[int, int], cells: tuple[int, int]) -> Tensor:
    """Positions [1,gh*gw,C] of a grid with `sides` (gh, gw) -> [1,h*w,C] of a frame with `cells`
    (h, w).
    """
    if sides == cells:
        return table

    grid = table.float().unflatten(1, sides).permute(0, 3, 1, 2)
    scale = [(cell + OFFSET) / side for cell, side in zip(cells, sides, strict=True)]
    grid = F.interpolate(grid, scale_factor=scale, mode="bicubic")
    return grid.flatten(2).transpose(1, 2).to(table.dtype)


def _add_positions(self: Any, patches: Tensor) -> Tensor:
    """Patches [B,h,w,C] -> tokens [B,prefix+h*w,C], in the place of the model's own
    `_pos_embed`.
    """
    batch, height, width, channels = patches.shape
    prefix = [
        token.expand(batch, -1, -1)
        for token in (self.cls_token, self.reg_token)
        if token is not None
    ]
    tokens = patches.reshape(batch, -1, channels)

    count = 0 if self.no_embed_class else self.num_prefix_tokens
    own, table = self.pos_embed[:, :count], self.pos_embed[:, count:]
    table = interpolated(table, tuple(self.patch_embed.grid_size), (height, width))
    if self.no_embed_class:
        return self.pos_drop(torch.cat([*prefix, tokens + table], dim=1))

    return self.pos_drop(torch.cat([*prefix, tokens], dim=1) + torch.cat([own, table], dim=1))
