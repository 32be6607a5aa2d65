"""Pictures of what DUL's objective compares in one clip, for TensorBoard."""

# Shapes: T frames of H x W pixels, K channels of a key, h x w cells of the feature map, n anchors.
# Pictures are [3,H,T*W] float in 0..1: the frames of the clip side by side.

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
    """Encode both views of one clip, without training, and draw what the loss compares.

    Args:
        encoder: The network; its mode and its batch statistics do not change.
        objective: Grid of the anchors and temperature.
        views: How the second view is drawn.
        frames: [T,3,H,W] uint8 RGB, the reference frame first.
        generator: On the CPU; draws the second view and the anchors.

    Returns:
        Pictures by name; see `draw`.
    """
    device = next(encoder.parameters()).device
    clip = make_views(normalise(frames[None].to(device).float() / 255), views, generator)

    training = encoder.training
    encoder.eval()  # batch statistics must not change
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
    """Draw the pictures of one clip.

    Args:
        clip: Both views of the clip: first and second [1,T,3,H,W], theta [1,2,3].
        first: Unit keys [T,K,h,w] of the first view.
        second: Unit keys [T,K,h,w] of the second view.
        anchors: Cells [1,n] of the reference frame that are anchors.
        temperature: Temperature of the softmax over anchors.

    Returns:
        Five pictures [3,H,T*W] by name. `frames`: the first view, with its anchors in the colours
        of `labels`. `second_view`: the second view. `labels`: each cell of the second view in the
        colour of its pseudo-label. `affinity`: the cosine of each cell of the first view and the
        middle anchor. `error`: the self-training error of each cell, aligned with `labels`; white
        is the largest.
    """
    size = clip.first.shape[-2:]
    palette = colours(anchors.shape[1]).to(first.device)
    own = gather_cells(first[:1], anchors)  # [1,n,K]
    labels = pseudo_labels(second[None], own)  # [1,T,h,w]
    aligned = align(first, clip.theta.expand(len(first), -1, -1))
    error = self_training_error(aligned[None], own[0], labels, temperature)[0]
    affinity = torch.einsum("tkhw,k->thw", first, own[0, len(own[0]) // 2])

    # Anchors belong to the reference frame, so only the first frame is marked.
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
    # Steps of the golden ratio spread the hues evenly, whatever their number.
    hue = torch.arange(count) * 0.618034 % 1
    ramp = (hue[:, None] * 6 + torch.tensor([0.0, 4.0, 2.0])) % 6

    return ((ramp - 3).abs() - 1).clamp(0, 1)


def _pixels(frames: Tensor) -> Tensor:
    """Normalised frames [T,3,H,W] -> colours in 0..1."""
    mean = torch.tensor(MEAN, device=frames.device).view(3, 1, 1)
    std = torch.tensor(STD, device=frames.device).view(3, 1, 1)
    return (frames * std + mean).clamp(0, 1)


def _marked(frame: Tensor, cells: Tensor, grid: torch.Size, palette: Tensor) -> Tensor:
    """A copy of a frame [3,H,W] with a square of half a cell's width in each of the given cells."""
    frame = frame.clone()
    height, width = frame.shape[1] // grid[0], frame.shape[2] // grid[1]  # of a cell, in pixels
    marked_height, marked_width = max(height // 2, 1), max(width // 2, 1)

    for cell, colour in zip(cells.tolist(), palette, strict=True):
        row, column = divmod(cell, grid[1])
        top, left = row * height + height // 4, column * width + width // 4
        square = frame[:, top : top + marked_height, left : left + marked_width]
        square[:] = colour[:, None, None]

    return frame


def _grey(values: Tensor) -> Tensor:
    """Grey pictures [T,3,h,w] of values [T,h,w] in 0..1."""
    return values[:, None].expand(-1, 3, -1, -1)


def _enlarged(pictures: Tensor, size: torch.Size) -> Tensor:
    return F.interpolate(pictures, size=size, mode="nearest")


def _side_by_side(pictures: Tensor) -> Tensor:
    """[T,3,H,W] -> [3,H,T*W]."""
    return torch.cat(list(pictures), dim=2)
