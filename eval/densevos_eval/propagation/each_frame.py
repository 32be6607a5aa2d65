"""Each frame of the context votes on its own: how UVC and its relatives propagate labels."""

# Shapes: N cells of a frame, C channels of a feature, F frames, L labels, m queries of a block.

import torch
from torch import Tensor

from densevos_eval.propagation.search import is_near
from densevos_eval.propagation.settings import PropagationConfig

BLOCK = 512
"""Number of queries that are compared with a whole frame at a time, which limits the memory."""


def vote_of_each_frame(
    query: Tensor, frames: Tensor, labels: Tensor, size: tuple[int, int], config: PropagationConfig
) -> Tensor:
    """Labels of the cells of a frame: the mean over the votes of the frames of the context.

    The weights of a frame are a softmax of similarity / temperature over all its cells within
    reach. The weights of the best `topk` cells are kept as they are, so the labels of a cell add up
    to less than 1.

    Args:
        query: Features [N,C].
        frames: Features [F,N,C] of the context.
        labels: Labels [F,L,N] of the context.
        size: [h,w] of a frame in cells, h * w = N.
        config: Window, radius, top k, ties and temperature.

    Returns:
        Labels [L,N].

    Source: Li et al., Joint-task Self-supervised Learning for Temporal Correspondence (UVC),
        NeurIPS 2019, as in their program.
    """
    blocks = []
    for first in range(0, len(query), BLOCK):
        queries = query[first : first + BLOCK]
        blocks.append(_vote_of_block(queries, first, frames, labels, size[1], config))

    return torch.cat(blocks, dim=1)


def _vote_of_block(
    queries: Tensor,
    first: int,
    frames: Tensor,
    labels: Tensor,
    width: int,
    config: PropagationConfig,
) -> Tensor:
    """Labels [L,m] of the cells `first` to `first` + m - 1."""
    cells = torch.arange(frames.shape[1], device=queries.device)
    # [m,1] against [N]: whether each query reaches each cell, [m,N].
    own = cells[first : first + len(queries), None]
    near = is_near(own, cells, width, config.radius, config.window)

    # One frame at a time, so that memory does not grow with the context.
    total = queries.new_zeros(labels.shape[1], len(queries))
    for keys, frame_labels in zip(frames, labels, strict=True):
        scores = (queries @ keys.T / config.temperature).masked_fill_(~near, -torch.inf)
        # [L,N] @ [N,m] -> [L,m].
        total += frame_labels @ _kept(scores.softmax(1), config).T

    return total / len(frames)


def _kept(weights: Tensor, config: PropagationConfig) -> Tensor:
    """Weights [m,N] with 0 for all but the best of each row."""
    best, index = weights.topk(min(int(config.topk), weights.shape[1]), dim=1)
    if config.ties == "all":
        return weights.where(weights >= best[:, -1:], 0)

    return torch.zeros_like(weights).scatter_(1, index, best)
