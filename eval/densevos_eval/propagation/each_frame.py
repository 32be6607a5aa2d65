"""Votes of each frame of the context on its own, averaged: how UVC and its relatives propagate
labels.

Shapes: N cells of a frame, C channels of a feature, F frames, L labels.
"""

import torch
from torch import Tensor

from densevos_eval.propagation.search import is_near
from densevos_eval.propagation.settings import PropagationConfig

BLOCK = 512  # Queries whose similarities to a whole frame are held at a time.


def vote_of_each_frame(
    query: Tensor, frames: Tensor, labels: Tensor, size: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Labels [L,N] of the cells of a frame: the mean over frames of what the best cells of each
    say.

    The weights of a frame are a softmax of similarity / temperature over all its cells within
    reach; those of the best `topk` cells are kept as they are, so labels of a cell add up to less
    than 1.

    Args:
        query: Features [N,C].
        frames: Features [F,N,C] of the context.
        labels: Labels [F,L,N] of the context.
        size: [h,w] of a frame in cells, h * w = N.
        config: Window, radius, top k, ties and temperature.

    Source: Li et al., Joint-task Self-supervised Learning for Temporal Correspondence (UVC),
        NeurIPS 2019, as their
    program does it.
    """
    blocks = [
        _vote_of_block(queries, first, frames, labels, size[1], config)
        for first, queries in zip(range(0, len(query), BLOCK), query.split(BLOCK), strict=True)
    ]

    return torch.cat(blocks, dim=1)


def _vote_of_block(
    queries: Tensor,
    first: int,
    frames: Tensor,
    labels: Tensor,
    width: int,
    config: PropagationConfig,
) -> Tensor:
    """Labels [L,m] of the cells `first`, `first` + 1, ..."""
    cells = torch.arange(frames.shape[1], device=queries.device)
    near = is_near(
        cells[first : first + len(queries), None], cells, width, config.radius, config.window
    )
    total = queries.new_zeros(labels.shape[1], len(queries))
    for keys, of_frame in zip(frames, labels, strict=True):
        scores = (queries @ keys.T / config.temperature).masked_fill_(~near, -torch.inf)
        total += of_frame @ _kept(scores.softmax(1), config).T

    return total / len(frames)


def _kept(weights: Tensor, config: PropagationConfig) -> Tensor:
    """Weights [m,N] with 0 for all but the best of each row."""
    best, index = weights.topk(min(int(config.topk), weights.shape[1]), dim=1)
    if config.ties == "all":
        return weights.where(weights >= best[:, -1:], 0)

    return torch.zeros_like(weights).scatter_(1, index, best)
