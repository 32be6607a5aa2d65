"""The search for GPUs: the best matches of every cell, by a few large products of fixed shapes.

The grid is covered with square tiles of queries. The cells that a tile can reach in each recent
frame, a rectangle around it, are gathered once a frame. One product compares many tiles with all
their rectangles, and another one compares them with the whole reference frame. All shapes are
known beforehand, so the host never waits for the device.

With products in float32 the result is exact. With bfloat16 a first pass chooses candidates, which
are compared again in float32. That can lose a match only if many cells are nearly equal; the device
counts the cells for which it could.
"""

# Shapes: T tiles of the grid and t of them at once, Q queries in a tile, W cells in the rectangle
# around it, S recent frames, K candidates, C channels, N cells of a frame.

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.base.devices import arithmetic, numbers
from densevos_eval.propagation.coarse import Centred, as_queries
from densevos_eval.propagation.search import Cells, Matches, Places, is_near
from densevos_eval.propagation.settings import Ties, Window

SIDE = 16
"""Side of a tile in cells. Larger tiles reach more cells in vain; smaller ones are slower."""

POOL = 16
"""Number of scores that the first step of `top` represents by their maximum."""

KEPT = 32
"""Least number of candidates to keep if rounding or ties may change which are the best k."""

ROOM = 2**29
"""Bytes that the tiles that are compared at once may take."""


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """All tiles of a grid, of one shape. The last ones of a row or column overlap those before.

    Args:
        queries: [T,Q] cells of each tile.
        reach: [T,W] cells of the rectangle around it.
        penalty: [T,Q,W] -inf if a cell is not within reach of a query, else 0. [1,1,1] if all cells
            are within reach of all queries.
        home: [N] where each cell of the grid is among the T * Q queries.
    """

    queries: Tensor
    reach: Tensor
    penalty: Tensor
    home: Tensor


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The best candidates of the queries of some tiles.

    Args:
        similarity: [t,Q,K] similarities.
        index: [t,Q,K] cells.
        others: [t,Q] upper bound of the similarity of all other cells.
    """

    similarity: Tensor
    index: Tensor
    others: Tensor


class WindowSearch:
    """A `Search` of fixed shapes: one pass in float32, or a first pass in bfloat16.

    Args:
        first: Unit features [h,w,C] of a typical frame.
        radius: Reach of a cell in recent frames, in cells.
        topk: Number of matches.
        window: Shape of the reach.
        ties: Which of equally similar candidates count at the k-th place.
        bf16: Whether a first pass is in bfloat16.
    """

    def __init__(
        self,
        first: Tensor,
        *,
        radius: float,
        topk: int,
        window: Window = "circle",
        ties: Ties = "first",
        bf16: bool = False,
    ):
        self.topk = topk
        self.ties = ties

        # More candidates than the top k, because rounding and ties may change their order.
        self._kept = max(KEPT, 3 * topk) if bf16 or ties == "all" else topk
        self._coarse = Centred(origin=first.mean((0, 1)), dtype=torch.bfloat16) if bf16 else None
        self._places = Places(
            topk=topk, ties=ties, width=first.shape[1], radius=radius, window=window
        )
        dtype = torch.bfloat16 if bf16 else torch.float32
        size = (first.shape[0], first.shape[1])
        self._tiles = tiles_of(size, radius, window, dtype, first.device)

        # The number of doubtful cells stays on the device until `doubtful` asks for it.
        self._asked = 0
        self._doubts = torch.zeros((), dtype=torch.long, device=first.device)

    def cells(self, unit: Tensor) -> Cells:
        """The cells of a frame, from its unit features [h,w,C]."""
        exact = unit.flatten(0, 1)
        coarse = self._coarse.keys(exact) if self._coarse else exact[:, :0]
        return Cells(exact=exact, coarse=coarse)

    def doubtful(self) -> float:
        """See `Search`."""
        return float(self._doubts) / max(self._asked, 1)

    def search(
        self, query: Cells, reference: Cells, recent: Cells, *, slots: Sequence[int], copies: int
    ) -> Matches:
        """See `Search`."""
        frame = len(query.exact)
        places = numbers(slots, query.exact.device)
        step = self._tiles_at_once(self._vectors(query), len(slots), len(reference.exact))

        parts = []
        with arithmetic():
            for first in range(0, len(self._tiles.queries), step):
                tiles = slice(first, first + step)
                parts.append(self._matched(tiles, query, reference, recent, places))

        # Tiles overlap at the borders, so each cell takes the result of one of them.
        similarity, index, doubts = (
            torch.cat(part).index_select(0, self._tiles.home) for part in zip(*parts, strict=True)
        )
        self._asked += frame
        self._doubts = self._doubts + doubts.sum()

        count = self._places.taken(similarity, index, copies)
        return Matches(similarity=similarity, index=index, count=count)

    def _vectors(self, cells: Cells) -> Tensor:
        """The vectors that the first or only pass compares."""
        return cells.coarse if self._coarse else cells.exact

    def _tiles_at_once(self, vectors: Tensor, slots: int, reference: int) -> int:
        """How many tiles fit in ROOM."""
        queries, reach = self._tiles.queries.shape[1], self._tiles.reach.shape[1]
        keys = slots * reach * vectors.shape[1]

        # Their maxima in `top` take up to a fifth more.
        scores = 1.2 * queries * (slots * reach + reference)

        # Bytes of the candidates that are compared again in float32.
        again = 4 * queries * self._kept * vectors.shape[1] if self._coarse else 0

        return max(1, int(ROOM / ((keys + scores) * vectors.element_size() + again)))

    def _matched(
        self, tiles: slice, query: Cells, reference: Cells, recent: Cells, slots: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Similarities and indices [t*Q,K] of the matches of some tiles, and which may lack one.

        The last tensor is [t*Q] bool.
        """
        queries, reach = self._tiles.queries[tiles], self._tiles.reach[tiles]
        features = _gathered(query.exact, queries)  # [t,Q,C]
        vectors = _gathered(self._vectors(query), queries)
        if self._coarse:
            vectors = as_queries(vectors)

        candidates = []

        # All cells of the reference frame.
        if len(reference.exact):
            # [t,Q,N].
            scores = vectors @ self._vectors(reference).T
            cells = torch.arange(len(reference.exact), device=reach.device)
            everywhere = cells.expand(len(reach), -1)
            candidates.append(self._best(scores, everywhere, features, reference.exact))

        # The rectangles around the tiles in all recent frames.
        if len(slots):
            near = (slots[:, None] * len(query.exact) + reach[:, None]).flatten(1)  # [t,S*W]
            # [t,Q,S*W].
            scores = vectors @ _gathered(self._vectors(recent).flatten(0, 1), near).transpose(1, 2)
            penalty = self._tiles.penalty
            if len(penalty) > 1:
                penalty = penalty[tiles]

            # A cell reaches the same places in every recent frame: [t,Q,S,W] += [t,Q,1,W].
            scores.unflatten(2, (len(slots), -1)).add_(penalty[:, :, None])
            best = self._best(scores, near, features, recent.exact.flatten(0, 1))

            # The cells of recent frames are numbered after those of the reference.
            index = len(reference.exact) + best.index
            candidates.append(replace(best, index=index))

        return self._together(candidates, features)

    def _best(self, scores: Tensor, keys: Tensor, features: Tensor, exact: Tensor) -> Candidates:
        """The candidates with the highest scores [t,Q,n].

        keys: [t,n] the cells of `exact` [M,C] that are scored. features: [t,Q,C] of the queries.
        """
        highest, places = top(scores, self._kept)
        # [t,n] -> [t,Q,K].
        index = keys.gather(1, places.flatten(1)).view_as(places)
        similarity = highest

        if self._coarse:
            # Compare again, in float32.
            similarity = (_gathered(exact, index) @ features[..., None])[..., 0]
            similarity = similarity.masked_fill(highest == -torch.inf, -torch.inf)

        # No other cell scores more than the last candidate. Coarse scores are similarity - 1. If
        # every cell is a candidate, there are no others.
        others = highest[..., -1].float() + (1 if self._coarse else 0)
        if scores.shape[2] == highest.shape[2]:
            others = torch.full_like(others, -torch.inf)

        return Candidates(similarity=similarity, index=index, others=others)

    def _together(
        self, candidates: list[Candidates], features: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The best of all candidates, as `_matched` returns them.

        The top k of a union are among the top k of its parts.
        """
        similarity = torch.cat([part.similarity for part in candidates], dim=2)
        index = torch.cat([part.index for part in candidates], dim=2)

        # Small frames have fewer candidates than k.
        missing = max(self.topk - similarity.shape[2], 0)
        similarity = F.pad(similarity, (0, missing), value=-torch.inf)
        index = F.pad(index, (0, missing))

        # Ties may need more than k columns. How many is not known beforehand, so all are kept.
        wanted = self.topk if self.ties == "first" else min(self._kept, similarity.shape[2])
        similarity, order = similarity.topk(wanted)
        similarity, index = similarity.flatten(0, 1), index.gather(2, order).flatten(0, 1)

        others = torch.stack([part.others for part in candidates]).amax(0).flatten()
        kth = similarity[:, self.topk - 1]
        return similarity, index, self._may_lack(kth, others, features.flatten(0, 1))

    def _may_lack(self, kth: Tensor, others: Tensor, features: Tensor) -> Tensor:
        """Whether another cell may be as similar as the k-th match, [m] bool."""
        if self._coarse:
            return others + self._coarse.tolerance(features, kth - 1) >= kth

        # Exact scores can only lack a cell that is equal to the k-th, which counts if all ties do.
        return (others >= kth) & (others > -torch.inf) & (self.ties == "all")


def tiles_of(
    size: tuple[int, int], radius: float, window: Window, dtype: torch.dtype, device: torch.device
) -> Tiles:
    """The tiles of a grid.

    Args:
        size: [h,w] of the grid.
        radius: Reach of a cell, in cells.
        window: Shape of the reach.
        dtype: Type of the penalties, which is that of the scores.
        device: Where the tiles are.
    """
    margin = int(min(radius, max(size)))
    rows, columns = (_spans(length, margin) for length in size)
    cells = torch.arange(size[0] * size[1]).view(size)
    pairs = [(row, column) for row in rows for column in columns]
    queries = torch.stack([cells[row.own, column.own].flatten() for row, column in pairs])
    reach = torch.stack([cells[row.around, column.around].flatten() for row, column in pairs])

    # [T,Q,W].
    near = is_near(queries[:, :, None], reach[:, None], size[1], radius, window)
    penalty = torch.where(near, 0.0, -torch.inf).to(dtype)

    # With an unlimited radius, full penalties would fill the memory.
    if near.all():
        penalty = penalty[:1, :1, :1]

    # A cell in several tiles gets the place in one of them.
    home = torch.empty(size[0] * size[1], dtype=torch.long)
    home[queries.flatten()] = torch.arange(queries.numel())
    return Tiles(
        queries=queries.to(device),
        reach=reach.to(device),
        penalty=penalty.to(device),
        home=home.to(device),
    )


@dataclass(frozen=True, kw_only=True)
class _Span:
    """A tile along one axis: its own cells, and those that it reaches."""

    own: slice
    around: slice


def _spans(length: int, margin: int) -> list[_Span]:
    """Spans of equal lengths that cover an axis; those that would end outside are moved back."""
    side = min(SIDE, length)
    reach = min(side + 2 * margin, length)
    spans = []

    for start in range(0, length, side):
        first = min(start, length - side)
        around = min(max(first - margin, 0), length - reach)
        spans.append(_Span(own=slice(first, first + side), around=slice(around, around + reach)))

    return spans


def top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest scores of each row, in less time than `Tensor.topk` takes for long rows.

    Args:
        scores: [...,n].
        k: How many are wanted.

    Returns:
        Values and places [...,k], or [...,n] if n is less than k.
    """
    groups = scores.shape[-1] // POOL
    if groups < 2 * k:
        return scores.topk(min(k, scores.shape[-1]))

    # The k best scores are in the k groups with the highest maxima.
    grouped = scores[..., : groups * POOL].unflatten(-1, (POOL, groups))
    chosen = grouped.amax(-2).topk(k).indices
    # Group g has the columns g, g + groups, g + 2 * groups and so on.
    members = torch.arange(0, groups * POOL, groups, device=scores.device)
    places = (chosen[..., None] + members).flatten(-2)

    # The last few columns belong to no group.
    ungrouped = torch.arange(groups * POOL, scores.shape[-1], device=scores.device)
    places = torch.cat([places, ungrouped.expand(*places.shape[:-1], -1)], dim=-1)
    values, order = scores.gather(-1, places).topk(k)

    return values, places.gather(-1, order)


def _gathered(table: Tensor, index: Tensor) -> Tensor:
    """Rows [...,C] of a table [M,C], by their index [...]."""
    return table.index_select(0, index.flatten()).view(*index.shape, -1)
