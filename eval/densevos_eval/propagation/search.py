"""What a search for the best matches takes and gives; `affinity` and `windows` are two of them,
with one result.

A cell of the current frame may choose among *all* cells of a reference frame and among the cells
within reach in each recent frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from densevos_eval.propagation.settings import Ties, Window


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Features of the cells of a frame (or of several, with a leading dimension) in row order.

    exact: [N,C] float32 of unit length.
    coarse: [N,D] for the first pass of a search, see `coarse.Centred`; D is 0 for a search of one
    pass.
    """

    exact: Tensor
    coarse: Tensor


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The best distinct candidates of every query cell, best first: K of them, k or more where
    several are equal.

    Candidates of equal similarity are in no particular order, and so is which of those equal at the
    k-th place come first.

    similarity: [N,K] cosine, -inf where a cell has fewer candidates than K.
    index: [N,K] into the cells of the reference followed by the cells of all slots of the recent
    frames. count: [N,K] how many places a candidate takes: several for a repeated reference, 0
    beyond the k-th place.
    """

    similarity: Tensor
    index: Tensor
    count: Tensor


class Search(Protocol):
    """Exact top-k search for frames of one size."""

    def cells(self, unit: Tensor, /) -> Cells:
        """What is compared of a frame's unit features [h,w,C]."""
        ...

    def search(
        self, query: Cells, reference: Cells, recent: Cells, *, slots: Sequence[int], copies: int
    ) -> Matches:
        """Best matches of all query cells in the reference frame and in the `slots` of `recent`
        [S,N,...].

        `copies` says how many times the reference frame stands in for a missing recent frame: each
        of its near cells then is 1 + copies candidates of the same similarity. The reference may be
        empty (no cells).
        """
        ...

    def doubtful(self) -> float:
        """Share of the cells so far whose matches may lack one of the best k. Asking waits for the
        device.
        """
        ...


def is_near(a: Tensor, b: Tensor, width: int, radius: float, window: Window) -> Tensor:
    """Whether two cells, given by their indices in row order, are within reach of one another.

    Offsets (dy,dx) are with sqrt(dy^2+dx^2) < radius, <= radius in a disc, |dy|, |dx| <= radius in
    a square.
    """
    dy, dx = a // width - b // width, a % width - b % width
    if window == "square":
        return torch.maximum(dy.abs(), dx.abs()) <= radius
    if window == "disc":
        return dy * dy + dx * dx <= radius * radius

    return dy * dy + dx * dx < radius * radius


@dataclass(frozen=True, kw_only=True)
class Places:
    """How the k places are given to sorted candidates once repetitions of the reference count."""

    topk: int
    ties: Ties
    width: int
    radius: float
    window: Window

    def taken(self, similarity: Tensor, index: Tensor, copies: int) -> Tensor:
        """Places [N,K] that each candidate takes, of `Matches.similarity` and `Matches.index`."""
        cells = len(index)
        own = torch.arange(cells, device=index.device)[:, None]
        repeated = (index < cells) & is_near(
            own, index % cells, self.width, self.radius, self.window
        )
        multiplicity = 1 + copies * repeated.long()
        before = multiplicity.cumsum(1) - multiplicity
        if self.ties == "first":
            return (self.topk - before).clamp(min=0).minimum(multiplicity)

        last = torch.where(before < self.topk, similarity, torch.inf).amin(1, keepdim=True)
        return multiplicity * (similarity >= last)
