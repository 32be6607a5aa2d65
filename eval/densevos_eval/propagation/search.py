"""What a search for the best matches takes and returns.

A cell of the current frame may choose among *all* cells of a reference frame and among the cells
within reach in each recent frame. `affinity` and `windows` are two searches with the same result.
"""

# Shapes: N cells of a frame, C channels, D columns of a coarse vector, S slots of recent frames, K
# matches of a cell, h x w cells of the feature map.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from densevos_eval.propagation.settings import Ties, Window


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Features of the cells of a frame, in row order. Several frames have a leading dimension.

    Args:
        exact: [N,C] float32, of unit length if they are compared by cosine.
        coarse: [N,D] for the first pass of a search, see `coarse.Centred`. D is 0 for a search of
            one pass.
    """

    exact: Tensor
    coarse: Tensor


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The best distinct candidates of every query cell, best first.

    K is k, or more if several candidates are equal to the k-th. Equal candidates are in no
    particular order, so which of them are within the first k is undefined.

    Args:
        similarity: [N,K] cosine, -inf if a cell has fewer candidates than K.
        index: [N,K] into the cells of the reference, followed by the cells of all slots of the
            recent frames.
        count: [N,K] how many places a candidate takes: several for a repeated reference, 0 beyond
            the k-th place.
    """

    similarity: Tensor
    index: Tensor
    count: Tensor


class Search(Protocol):
    """Exact top-k search for frames of one size."""

    def cells(self, unit: Tensor, /) -> Cells:
        """The cells of a frame, from its unit features [h,w,C]."""
        ...

    def search(
        self, query: Cells, reference: Cells, recent: Cells, *, slots: Sequence[int], copies: int
    ) -> Matches:
        """Find the best matches of all cells of a frame.

        Args:
            query: Cells of the frame.
            reference: Cells of the reference frame, which may be none.
            recent: Cells [S,N,...] of the recent frames.
            slots: Which of the S frames are searched.
            copies: How often the reference frame stands in for a missing recent frame. Each of its
                near cells then counts as 1 + copies candidates of the same similarity.
        """
        ...

    def doubtful(self) -> float:
        """Share of the cells so far whose matches may lack one of the best k.

        Asking waits for the device.
        """
        ...


def is_near(a: Tensor, b: Tensor, width: int, radius: float, window: Window) -> Tensor:
    """Whether two cells are within reach of one another.

    An offset (dy,dx) is within reach if sqrt(dy^2+dx^2) < radius in a circle, <= radius in a disc,
    and if |dy|, |dx| <= radius in a square.

    Args:
        a: Indices of cells in row order, of any shape.
        b: Indices of other cells, of a shape that can be broadcast to that of `a`.
        width: Cells in a row.
        radius: In cells.
        window: Shape of the reach.

    Returns:
        A bool for each pair, of the broadcast shape.
    """
    # Cells are numbered row by row.
    dy, dx = a // width - b // width, a % width - b % width
    if window == "square":
        return torch.maximum(dy.abs(), dx.abs()) <= radius
    if window == "disc":
        return dy * dy + dx * dx <= radius * radius

    return dy * dy + dx * dx < radius * radius


@dataclass(frozen=True, kw_only=True)
class Places:
    """Distributes the k places over sorted candidates; a repeated reference takes several."""

    topk: int
    ties: Ties
    width: int
    radius: float
    window: Window

    def taken(self, similarity: Tensor, index: Tensor, copies: int) -> Tensor:
        """How many places each candidate takes.

        Args:
            similarity: `Matches.similarity`, [N,K].
            index: `Matches.index`, [N,K].
            copies: How often the reference frame is repeated.

        Returns:
            `Matches.count`, [N,K].
        """
        # Only cells of the reference that are near a query are repeated: the repetitions stand for
        # recent frames.
        cells = len(index)
        own = torch.arange(cells, device=index.device)[:, None]
        repeated = (index < cells) & is_near(
            own, index % cells, self.width, self.radius, self.window
        )
        multiplicity = 1 + copies * repeated.long()
        # Places that better candidates take.
        before = multiplicity.cumsum(1) - multiplicity
        if self.ties == "first":
            return (self.topk - before).clamp(min=0).minimum(multiplicity)

        # All candidates count that are as similar as the last one with a place.
        last = torch.where(before < self.topk, similarity, torch.inf).amin(1, keepdim=True)
        return multiplicity * (similarity >= last)
