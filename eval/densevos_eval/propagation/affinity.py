"""The search for CPUs: an exact top k without the full similarity matrix.

Queries are taken in square tiles. A tile is compared with the reference frame and with the cells of
recent frames that it can reach. The choice of candidates depends on their values, so a GPU would
make the host wait; see `windows` for the search for GPUs.

The comparison has two passes. The first one bounds every similarity, in bfloat16 if the processor
multiplies it fast. The second one computes in float32 the few candidates of a tile whose bound
reaches the top k of one of its queries. The result is the same as in float32 throughout.
"""

# Shapes: N cells of a frame, C channels, m queries of a tile, r cells within reach of them, n keys,
# K matches of a cell.

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.propagation.coarse import Centred, as_queries, coarse_dtype
from densevos_eval.propagation.search import Cells, Matches, Places, is_near
from densevos_eval.propagation.settings import Ties, Window

SIDE = 8
"""Side of a tile in cells: its scores should fit the cache."""

POOL = 16
"""Number of scores in a group, which its maximum represents in the search for the k-th."""

LOWEST = -4.0
"""A number below every score: a score is a cosine minus 1."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Queries that are compared together.

    Args:
        queries: [m] cells of the tile.
        reach: [r] cells within reach of any of them.
        penalty: [m,1,r] -inf if a cell is not within reach of a query, else 0. [m,1,1] if all cells
            are within reach.
    """

    queries: Tensor
    reach: Tensor
    penalty: Tensor


class Affinity:
    """A `Search` by tiles, in two passes.

    Args:
        first: Unit features [h,w,C] of a typical frame.
        radius: Reach of a cell in recent frames, in cells.
        topk: Number of matches.
        window: Shape of the reach.
        ties: Which of equally similar candidates count at the k-th place.
    """

    def __init__(
        self,
        first: Tensor,
        *,
        radius: float,
        topk: int,
        window: Window = "circle",
        ties: Ties = "first",
    ):
        self.topk = topk
        self.ties = ties
        self._coarse = Centred(origin=first.mean((0, 1)), dtype=coarse_dtype(first.device))
        self._places = Places(
            topk=topk, ties=ties, width=first.shape[1], radius=radius, window=window
        )
        size = (first.shape[0], first.shape[1])
        self._tiles = _tiles(size, radius, window, self._coarse.dtype)

    def cells(self, unit: Tensor) -> Cells:
        """The cells of a frame, from its unit features [h,w,C]."""
        exact = unit.flatten(0, 1)
        return Cells(exact=exact, coarse=self._coarse.keys(exact))

    def doubtful(self) -> float:
        """Always 0: no match is ever missing."""
        return 0.0

    def search(
        self, query: Cells, reference: Cells, recent: Cells, *, slots: Sequence[int], copies: int
    ) -> Matches:
        """See `Search`."""
        frame, cells = len(query.exact), len(reference.exact)
        chosen = torch.tensor(slots, dtype=torch.long)

        # One buffer of keys for all tiles: first the reference, then what the tile reaches.
        room = cells + len(slots) * max(len(tile.reach) for tile in self._tiles)
        keys = reference.coarse.new_empty(room, reference.coarse.shape[1])
        keys[:cells] = reference.coarse
        similarity = torch.full((frame, self.topk), -torch.inf, device=keys.device)
        index = torch.zeros(frame, self.topk, dtype=torch.long, device=keys.device)

        for tile in self._tiles:
            # In a flat table of the recent frames, slot s starts at row s * N.
            near = (chosen[:, None] * frame + tile.reach).flatten()
            used = keys[: cells + len(near)]
            torch.index_select(recent.coarse.flatten(0, 1), 0, near, out=used[cells:])
            contenders, allowed = self._contenders(query, tile, used, cells)

            # Second pass: the exact similarities of the contenders. Those before `split` are cells
            # of the reference, the others are cells of recent frames.
            split = int((contenders < cells).sum())
            in_reference = contenders[:split]
            in_recent = near[contenders[split:] - cells]
            features = torch.cat(
                [reference.exact[in_reference], recent.exact.flatten(0, 1)[in_recent]]
            )
            exact = (query.exact[tile.queries] @ features.T).masked_fill_(~allowed, -torch.inf)
            best, order = self._best(exact)

            # More columns are needed only if more candidates are equal than there are places.
            extra = best.shape[1] - similarity.shape[1]
            if extra > 0:
                similarity = F.pad(similarity, (0, extra), value=-torch.inf)
                index = F.pad(index, (0, extra))

            # Numbered as `Matches` wants it: cells of the reference first, then slot by slot.
            candidates = torch.cat([in_reference, cells + in_recent])
            similarity[tile.queries, : best.shape[1]] = best
            index[tile.queries, : best.shape[1]] = candidates[order]

        count = self._places.taken(similarity, index, copies)
        return Matches(similarity=similarity, index=index, count=count)

    def _best(self, exact: Tensor) -> tuple[Tensor, Tensor]:
        """The top k of each row [m,n] and their places, best first.

        With `ties` "all" there are more columns if more candidates are equal to the k-th.
        """
        count = min(self.topk, exact.shape[1])
        best, order = exact.topk(count)
        if self.ties == "first":
            return best, order

        last = best[:, -1:]
        # The row with the most candidates that reach its k-th decides how many columns there are.
        equal = int(((exact >= last) & (last > -torch.inf)).sum(1).max())
        return exact.topk(equal) if equal > count else (best, order)

    def _contenders(
        self, query: Cells, tile: Tile, keys: Tensor, everywhere: int
    ) -> tuple[Tensor, Tensor]:
        """First pass: the keys that may be among the top k of a query of the tile.

        The first `everywhere` keys are within reach of all queries. Returns indices [n] of keys,
        and [m,n] bool whether a key is within reach of a query.
        """
        # [m,n]: similarity - 1 of all pairs, in few bits.
        scores = as_queries(query.coarse[tile.queries]) @ keys.T
        # A cell reaches the same places in every recent frame, so one penalty [m,1,r] serves all.
        frames = (len(keys) - everywhere) // max(len(tile.reach), 1)
        scores[:, everywhere:].view(len(scores), frames, len(tile.reach)).add_(tile.penalty)

        # Both the k-th score and that of a contender may be off by the tolerance.
        kth = _lower_bound_of_kth(scores, self.topk)
        threshold = kth - 2 * self._coarse.tolerance(query.exact[tile.queries], kth)

        # To subtract and compare the maxima is several times faster than to compare and call any().
        scores -= threshold[:, None].to(scores.dtype)
        contenders = (scores.amax(0) >= 0).nonzero()[:, 0]

        return contenders, scores[:, contenders] > -torch.inf


def _tiles(size: tuple[int, int], radius: float, window: Window, dtype: torch.dtype) -> list[Tile]:
    h, w = size
    cells = torch.arange(h * w).view(h, w)
    tiles = []
    for top in range(0, h, SIDE):
        for left in range(0, w, SIDE):
            rows, columns = slice(top, top + SIDE), slice(left, left + SIDE)
            tiles.append(_tile(cells, rows, columns, radius, window, dtype))

    return tiles


def _tile(
    cells: Tensor, rows: slice, columns: slice, radius: float, window: Window, dtype: torch.dtype
) -> Tile:
    # An unlimited radius reaches no further than the grid.
    margin = int(min(radius, max(cells.shape)))
    queries = cells[rows, columns].flatten()
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    around = cells[top : rows.stop + margin, left : columns.stop + margin].flatten()

    # A round window leaves the corners of the rectangle out.
    near = is_near(queries[:, None], around, cells.shape[1], radius, window)
    reached = near.any(0)
    limits = near[:, reached]

    # With an unlimited radius, full penalties of all tiles would fill the memory.
    if limits.all():
        limits = limits[:, :1]

    penalty = torch.where(limits, 0.0, -torch.inf).to(dtype)
    return Tile(queries=queries, reach=around[reached], penalty=penalty[:, None])


def _lower_bound_of_kth(scores: Tensor, k: int) -> Tensor:
    """The k-th largest score of each row, or a bit less: [m] float32."""
    # The k-th largest maximum of a group is a lower bound, and a tight one if there are many more
    # groups than k. With few groups, several of the k best often share one.
    groups = scores.shape[1] // POOL
    if groups >= 4 * k:
        scores = scores[:, : groups * POOL].view(len(scores), POOL, groups).amax(1)

    if scores.shape[1] < k:
        return scores.new_full((len(scores),), LOWEST, dtype=torch.float32)

    return scores.float().topk(k).values[:, -1].clamp(min=LOWEST)
