"""A vision transformer written out: weights under the names of DINO, MAE and DINOv2, and what comes
of them.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def make_weights(
    *,
    width: int = 192,
    depth: int = 12,
    patch: int = 16,
    grid: int = 14,
    scaled: bool = False,
    registers: int = 0,
) -> dict[str, Tensor]:
    """Random weights of a network whose table of positions is of grid x grid patches.

    scaled: blocks have LayerScale, and registers have no positions, as in DINOv2.
    """
    generator = torch.Generator().manual_seed(7)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.1

    weights = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, grid * grid + 1, width),
        "patch_embed.proj.weight": draw(width, 3, patch, patch),
        "patch_embed.proj.bias": draw(width),
        "norm.weight": 1 + draw(width),
        "norm.bias": draw(width),
    }
    if registers:
        weights["register_tokens"] = draw(1, registers, width)
    shapes = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
    shapes |= {"mlp.fc1": (4 * width, width), "mlp.fc2": (width, 4 * width)}
    for block in range(depth):
        for norm in ("norm1", "norm2"):
            weights[f"blocks.{block}.{norm}.weight"] = 1 + draw(width)
            weights[f"blocks.{block}.{norm}.bias"] = draw(width)
        for layer, (outputs, inputs) in shapes.items():
            weights[f"blocks.{block}.{layer}.weight"] = draw(outputs, inputs)
            weights[f"blocks.{block}.{layer}.bias"] = draw(outputs)
        if scaled:
            weights[f"blocks.{block}.ls1.gamma"] = 1 + draw(width)
            weights[f"blocks.{block}.ls2.gamma"] = 1 + draw(width)
    return weights


def bicubic_matrix(cells: int, side: int) -> Tensor:
    """What each of `cells` takes from a table of `side`, [cells,side]: Keys' kernel with a = -.75,
    the border repeated.

    The step is side / (cells + .1), as in `interpolate_pos_encoding` of DINO.
    """
    matrix = torch.zeros(cells, side, dtype=torch.float64)
    for cell in range(cells):
        place = (cell + 0.5) * side / (cells + 0.1) - 0.5
        for tap in range(math.floor(place) - 1, math.floor(place) + 3):
            x = abs(place - tap)
            near = 1.25 * x**3 - 2.25 * x**2 + 1
            far = -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
            matrix[cell, min(max(tap, 0), side - 1)] += near if x <= 1 else far
    return matrix


def positions(table: Tensor, cells: tuple[int, int]) -> Tensor:
    """A table [1,1+side*side,C] -> [1,1+h*w,C] at the cells (h, w) of a frame, as DINO's program
    interpolates it.
    """
    side = math.isqrt(table.shape[1] - 1)
    if cells == (side, side):
        return table
    grid = table[0, 1:].double().reshape(side, side, -1)
    rows, columns = bicubic_matrix(cells[0], side), bicubic_matrix(cells[1], side)
    grid = torch.einsum("hi,wj,ijc->hwc", rows, columns, grid)
    return torch.cat([table[:, :1], grid.flatten(0, 1)[None].float()], dim=1)


def forward(weights: dict[str, Tensor], frames: Tensor, *, heads: int = 3) -> Tensor:
    """Normalised frames [B,3,H,W] -> patch tokens behind the last block and the norm, [B,C,h,w] of
    unit length.
    """
    width, patch = weights["cls_token"].shape[-1], weights["patch_embed.proj.weight"].shape[-1]
    tokens = F.conv2d(
        frames, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=patch
    )
    cells = (tokens.shape[2], tokens.shape[3])
    tokens = torch.cat(
        [weights["cls_token"].expand(len(frames), -1, -1), tokens.flatten(2).transpose(1, 2)], dim=1
    )
    tokens = tokens + positions(weights["pos_embed"], cells)
    if "register_tokens" in weights:
        registers = weights["register_tokens"].expand(len(frames), -1, -1)
        tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)

    depth = sum(name.endswith("norm1.weight") for name in weights)
    for block in range(depth):
        part = {
            name.split(".", 2)[2]: w
            for name, w in weights.items()
            if name.startswith(f"blocks.{block}.")
        }
        inner = F.layer_norm(tokens, (width,), part["norm1.weight"], part["norm1.bias"], 1e-6)
        queries, keys, values = (
            F.linear(inner, part["attn.qkv.weight"], part["attn.qkv.bias"])
            .unflatten(2, (3, heads, width // heads))
            .permute(2, 0, 3, 1, 4)
        )
        weight = (queries @ keys.transpose(-1, -2) / math.sqrt(width // heads)).softmax(-1)
        inner = (weight @ values).transpose(1, 2).flatten(2)
        inner = F.linear(inner, part["attn.proj.weight"], part["attn.proj.bias"])
        tokens = tokens + inner * part.get("ls1.gamma", 1)
        inner = F.layer_norm(tokens, (width,), part["norm2.weight"], part["norm2.bias"], 1e-6)
        inner = F.gelu(F.linear(inner, part["mlp.fc1.weight"], part["mlp.fc1.bias"]))
        tokens = tokens + F.linear(inner, part["mlp.fc2.weight"], part["mlp.fc2.bias"]) * part.get(
            "ls2.gamma", 1
        )

    tokens = F.layer_norm(tokens, (width,), weights["norm.weight"], weights["norm.bias"], 1e-6)
    patches = tokens[:, -cells[0] * cells[1] :].transpose(1, 2).unflatten(2, cells)
    return F.normalize(patches, dim=1)
