"""Pictures of what DUL's objective sees in one clip, for TensorBoard.

Shapes: T frames of H x W pixels, h x w cells of K numbers, n anchors. Pictures are [3,H,T*W] float
in 0..1: the frames of the clip side by side.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.config import SelfTrainingConfig, ViewConfig
from densevos.learners.views import Views, make_views
from densevos.models.encoder import MEAN, STD, DenseEncoder, normalise
from densevos.objectives.anchors import align, gather_cells, grid_indices
from densevos.objectives.self_training import pseudo_labels, self_training_error


@torch.no_grad()
def self_training_panels(
    encoder: DenseEncoder,
    objective: SelfTrainingConfig,
    views: ViewConfig,
    frames: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Encode both views of one clip without training anything, and draw what the loss compares.

    Args:
        encoder: The network; its mode and its batch statistics stay as they are.
        objective: Grid and temperature.
        views: How the second view is drawn.
        frames: [T,3,H,W] uint8 RGB, the reference frame first.
        generator: On the CPU; draws the second view and the anchors.

    Returns:
        Pictures by name; see `draw`.
    """
    device = next(encoder.parameters()).device
    clip = make_views(normalise(frames[None].to(device).float() / 255), views, generator)
    training = encoder.training
    encoder.eval()
    first, second = encoder(clip.first[0]), encoder(clip.second[0])
    encoder.train(training)
    height, width = first.shape[-2:]
    anchors = grid_indices(
        1, height, width, objective.anchor_grid, generator, jitter=objective.anchor_jitter
    )

    return draw(clip, first, second, anchors.to(device), objective.temperature)


def draw(
    clip: Views, first: Tensor, second: Tensor, anchors: Tensor, temperature: float
) -> dict[str, Tensor]:
    """The pictures of one clip.

    Args:
        clip: Both views of it: first and second [1,T,3,H,W], theta [1,2,3].
        first: Unit keys [T,K,h,w] of the first view.
        second: Those of the second view.
        anchors: Cells [1,n] of the reference frame that are anchors.
        temperature: Of the softmax over anchors.

    Returns:
        `frames`: the first view, its anchors marked in the colours of `labels`. `second_view`.
            `labels`: each cell of
        the second view in the colour of its pseudo-label. `affinity`: how similar each cell of the
        first view is to
        the middle anchor. `error`: the self-training error of each cell, lined up with `labels`,
            white where largest.
    """
    size = clip.first.shape[-2:]
    palette = colours(anchors.shape[1]).to(first.device)
    own = gather_cells(first[:1], anchors)  # [1,n,K]
    labels = pseudo_labels(second[None], own)  # [1,T,h,w]
    aligned = align(first, clip.theta.expand(len(first), -1, -1))
    error = self_training_error(aligned[None], own[0], labels, temperature)[0]
    affinity = torch.einsum("tkhw,k->thw", first, own[0, len(own[0]) // 2])

    frames = _pixels(clip.first[0])
    frames[0] = _marked(frames[0], anchors[0], first.shape[-2:], palette)
    pictures: Mapping[str, Tensor] = {
        "frames": frames,
        "second_view": _pixels(clip.second[0]),
        "labels": _enlarged(palette[labels[0]].permute(0, 3, 1, 2), size),
        "affinity": _enlarged(_grey(affinity.clamp(min=0)), size),
        "error": _enlarged(_grey(error / error.max().clamp(min=1e-6)), size),
    }

    return {name: _side_by_side(picture).cpu() for name, picture in pictures.items()}


def colours(count: int) -> Tensor:
    """`count` colours [count,3] in 0..1 that differ in hue, neighbours most of all."""
    hue = (
        torch.arange(count) * 0.618034 % 1
    )  # the golden ratio spreads them evenly, whatever their number
    ramp = (hue[:, None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6

    return ((ramp - 3).abs() - 1).clamp(0, 1)


def _pixels(frames: Tensor) -> Tensor:
    """Normalised frames [T,3,H,W] -> colours in 0..1."""
    mean, std = (torch.tensor(values, device=frames.device).view(3, 1, 1) for values in (MEAN, STD))
    return (frames * std + mean).clamp(0, 1)


def _marked(frame: Tensor, cells: Tensor, grid: torch.Size, palette: Tensor) -> Tensor:
    """A copy of a frame [3,H,W] with a square in the middle of each cell: half a cell wide, in its
    colour.
    """
    frame = frame.clone()
    height, width = frame.shape[1] // grid[0], frame.shape[2] // grid[1]
    for cell, colour in zip(cells.tolist(), palette, strict=True):
        top, left = cell // grid[1] * height + height // 4, cell % grid[1] * width + width // 4
        frame[:, top : top + max(height // 2, 1), left : left + max(width // 2, 1)] = colour[
            :, None, None
        ]

    return frame


def _grey(values: Tensor) -> Tensor:
    """Values [T,h,w] in 0..1 -> grey pictures [T,3,h,w]."""
    return values[:, None].expand(-1, 3, -1, -1)


def _enlarged(pictures: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(pictures, size=size, mode="nearest")


def _side_by_side(pictures: Tensor) -> Tensor:
    """[T,3,H,W] -> [3,H,T*W]."""
    return torch.cat(list(pictures), dim=2)
