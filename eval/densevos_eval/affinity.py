"""The best matches of every cell in a context of frames: exact top-k without the full similarity matrix.

A cell of the current frame may choose among *all* cells of a reference frame and among the cells nearer than
a radius in each recent frame. Queries are taken in square tiles; a tile is compared with the reference frame
and with the one window of each recent frame that its cells can reach.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

TILE = 8


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The k best distinct candidates of every query cell, best first.

    similarity: [N,k] cosine, -inf where a cell has fewer candidates than k.
    index: [N,k] into the reference cells (0..N-1) followed by the cells of the recent frames.
    count: [N,k] how many of the k places each candidate takes (more than one for a repeated reference).
    """

    similarity: Tensor
    index: Tensor
    count: Tensor


def best_matches(
    query: Tensor, reference: Tensor, recent: Tensor, *, radius: float, topk: int, copies: int = 0
) -> Matches:
    """Top-k similarities of unit features over the reference frame and windows of recent frames.

    query, reference: [h,w,C]; recent: [n,h,w,C]. Offsets (dy,dx) with sqrt(dy^2+dx^2) < radius count as
    near. `copies` says how many times the reference frame stands in for a missing recent frame: each of its
    near cells then is 1 + copies candidates of the same similarity.
    """
    h, w, channels = query.shape
    topk = min(topk, h * w * (1 + len(recent)))
    similarity = query.new_empty(h, w, topk)
    index = torch.empty(h, w, topk, dtype=torch.long, device=query.device)
    for top in range(0, h, TILE):
        for left in range(0, w, TILE):
            rows, columns = slice(top, min(top + TILE, h)), slice(left, min(left + TILE, w))
            best, cells = _tile(query, reference, recent, rows, columns, radius, topk)
            shape = (rows.stop - top, columns.stop - left, topk)
            similarity[rows, columns] = best.view(shape)
            index[rows, columns] = cells.view(shape)
    similarity, index = similarity.flatten(0, 1), index.flatten(0, 1)
    return Matches(
        similarity=similarity,
        index=index,
        count=_places(index, (h, w), radius=radius, topk=topk, copies=copies),
    )


def _tile(
    query: Tensor, reference: Tensor, recent: Tensor, rows: slice, columns: slice, radius: float, topk: int
) -> tuple[Tensor, Tensor]:
    """Best similarities and candidate indices, [cells of the tile, topk], of one tile of queries."""
    h, w, channels = query.shape
    near_rows, near_columns = _reach(rows, h, radius), _reach(columns, w, radius)
    cells = torch.arange(h * w, device=query.device).view(h, w)
    own, near = cells[rows, columns].flatten(), cells[near_rows, near_columns].flatten()
    q = query[rows, columns].reshape(-1, channels)
    windows = recent[:, near_rows, near_columns].reshape(len(recent), near.numel(), channels)
    local = torch.einsum("qc,nkc->qnk", q, windows)
    local.masked_fill_(~_is_near(own[:, None], near[None], w, radius)[:, None], -torch.inf)
    everywhere = q @ reference.flatten(0, 1).T
    best, place = torch.cat([everywhere, local.flatten(1)], dim=1).topk(
        min(topk, h * w + near.numel() * len(recent))
    )
    frames = torch.arange(1, len(recent) + 1, device=query.device) * (h * w)
    candidates = torch.cat([cells.flatten(), (frames[:, None] + near).flatten()])
    return _filled(best, topk, -torch.inf), _filled(candidates[place], topk, 0)


def _filled(values: Tensor, topk: int, value: float) -> Tensor:
    return torch.nn.functional.pad(values, (0, topk - values.shape[1]), value=value)


def _reach(span: slice, size: int, radius: float) -> slice:
    margin = int(radius)
    return slice(max(span.start - margin, 0), min(span.stop + margin, size))


def _is_near(a: Tensor, b: Tensor, width: int, radius: float) -> Tensor:
    """Whether two cells, given by their indices in row order, are nearer than `radius`."""
    dy, dx = a // width - b // width, a % width - b % width
    return dy * dy + dx * dx < radius * radius


def _places(index: Tensor, size: tuple[int, int], *, radius: float, topk: int, copies: int) -> Tensor:
    """Places of the top-k that each sorted candidate takes once repetitions of the reference count."""
    h, w = size
    own = torch.arange(h * w, device=index.device)[:, None]
    repeated = (index < h * w) & _is_near(own, index % (h * w), w, radius)
    multiplicity = 1 + copies * repeated.long()
    before = multiplicity.cumsum(1) - multiplicity
    return (topk - before).clamp(min=0).minimum(multiplicity)
