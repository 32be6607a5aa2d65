"""The best matches of every cell in a context of frames: exact top-k without the full similarity
matrix.

Queries are taken in square tiles; a tile is compared with the reference frame and with the cells of
recent frames that it can reach. This is the search for CPUs: it chooses its candidates with care,
for which a GPU would have to wait.

The comparison has two passes. The first, in bfloat16 where the processor multiplies it fast, bounds
every similarity; the second computes in float32 the few candidates of a tile whose bound reaches
the top-k of one of its queries. The result is that of float32 throughout.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.propagation.coarse import Centred, as_queries, coarse_dtype
from densevos_eval.propagation.search import Cells, Matches, Places, is_near
from densevos_eval.propagation.settings import Ties, Window

SIDE = 8  # Of a tile, in cells: its scores should fit the cache.
POOL = 16
LOWEST = -4.0  # Below every score: a score is a cosine less 1.


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Queries that are compared together: their cells [m], the cells [r] within reach of any of
    them, and a penalty [m,1,r] of -inf where a cell is not within reach of the query, [m,1,1] where
    all are."""

    queries: Tensor
    reach: Tensor
    penalty: Tensor


class Affinity:
    """A `Search` by tiles, in two passes."""

    def __init__(
        self,
        first: Tensor,
        *,
        radius: float,
        topk: int,
        window: Window = "circle",
        ties: Ties = "first",
    ):
        """first: unit features [h,w,C] of a typical frame."""
        self.topk = topk
        self.ties = ties
        self._coarse = Centred(origin=first.mean((0, 1)), dtype=coarse_dtype(first.device))
        self._places = Places(
            topk=topk, ties=ties, width=first.shape[1], radius=radius, window=window
        )
        size = (first.shape[0], first.shape[1])
        self._tiles = _tiles(size, radius, window, self._coarse.dtype)

    def cells(self, unit: Tensor) -> Cells:
        """Both representations of a frame's unit features [h,w,C]."""
        exact = unit.flatten(0, 1)
        return Cells(exact=exact, coarse=self._coarse.keys(exact))

    def doubtful(self) -> float:
        """None of the best are ever missing."""
        return 0.0

    def search(
        self, query: Cells, reference: Cells, recent: Cells, *, slots: Sequence[int], copies: int
    ) -> Matches:
        """See `Search`."""
        frame, cells = len(query.exact), len(reference.exact)
        chosen = torch.tensor(slots, dtype=torch.long)
        room = cells + len(slots) * max(len(tile.reach) for tile in self._tiles)
        keys = reference.coarse.new_empty(room, reference.coarse.shape[1])
        keys[:cells] = reference.coarse
        similarity = torch.full((frame, self.topk), -torch.inf, device=keys.device)
        index = torch.zeros(frame, self.topk, dtype=torch.long, device=keys.device)

        for tile in self._tiles:
            near = (chosen[:, None] * frame + tile.reach).flatten()
            used = keys[: cells + len(near)]
            torch.index_select(recent.coarse.flatten(0, 1), 0, near, out=used[cells:])
            contenders, allowed = self._contenders(query, tile, used, cells)
            split = int((contenders < cells).sum())
            places = near[contenders[split:] - cells]
            features = torch.cat(
                [reference.exact[contenders[:split]], recent.exact.flatten(0, 1)[places]]
            )
            exact = (query.exact[tile.queries] @ features.T).masked_fill_(~allowed, -torch.inf)
            best, order = self._best(exact)

            if (
                best.shape[1] > similarity.shape[1]
            ):  # Only where more are equal than there are places.
                more = (0, best.shape[1] - similarity.shape[1])
                similarity, index = F.pad(similarity, more, value=-torch.inf), F.pad(index, more)

            similarity[tile.queries, : best.shape[1]] = best
            index[tile.queries, : best.shape[1]] = torch.cat([contenders[:split], cells + places])[
                order
            ]

        return Matches(
            similarity=similarity, index=index, count=self._places.taken(similarity, index, copies)
        )

    def _best(self, exact: Tensor) -> tuple[Tensor, Tensor]:
        """The top-k of each row [m,n] and their places, best first; more columns where more are
        equal to the k-th.
        """
        count = min(self.topk, exact.shape[1])
        best, order = exact.topk(count)
        if self.ties == "first":
            return best, order

        last = best[:, -1:]
        equal = int(((exact >= last) & (last > -torch.inf)).sum(1).max())
        return exact.topk(equal) if equal > count else (best, order)

    def _contenders(
        self, query: Cells, tile: Tile, keys: Tensor, everywhere: int
    ) -> tuple[Tensor, Tensor]:
        """Keys (indices [n]) that may be among the top-k of a query of the tile; which query may
        [m,n].

        The first `everywhere` keys are within reach of all queries.
        """
        scores = as_queries(query.coarse[tile.queries]) @ keys.T
        frames = (len(keys) - everywhere) // max(len(tile.reach), 1)
        scores[:, everywhere:].view(len(scores), frames, len(tile.reach)).add_(tile.penalty)
        kth = _lower_bound_of_kth(scores, self.topk)
        threshold = kth - 2 * self._coarse.tolerance(query.exact[tile.queries], kth)
        # Subtracting and comparing the maxima is several times faster than comparing and any().
        scores -= threshold[:, None].to(scores.dtype)
        contenders = (scores.amax(0) >= 0).nonzero()[:, 0]

        return contenders, scores[:, contenders] > -torch.inf


def _tiles(size: tuple[int, int], radius: float, window: Window, dtype: torch.dtype) -> list[Tile]:
    h, w = size
    cells = torch.arange(h * w).view(h, w)
    return [
        _tile(cells, slice(top, top + SIDE), slice(left, left + SIDE), radius, window, dtype)
        for top in range(0, h, SIDE)
        for left in range(0, w, SIDE)
    ]


def _tile(
    cells: Tensor, rows: slice, columns: slice, radius: float, window: Window, dtype: torch.dtype
) -> Tile:
    margin = int(min(radius, max(cells.shape)))
    queries = cells[rows, columns].flatten()
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    around = cells[top : rows.stop + margin, left : columns.stop + margin].flatten()
    near = is_near(queries[:, None], around, cells.shape[1], radius, window)
    reached = near.any(0)
    limits = near[:, reached]

    if limits.all():
        limits = limits[
            :, :1
        ]  # With an unlimited radius the penalties of all tiles would fill the memory.

    penalty = torch.where(limits, 0.0, -torch.inf).to(dtype)
    return Tile(queries=queries, reach=around[reached], penalty=penalty[:, None])


def _lower_bound_of_kth(scores: Tensor, k: int) -> Tensor:
    """At most the k-th largest score of each row [m] float32, and seldom less: the k-th largest
    group maximum.
    """
    groups = scores.shape[1] // POOL
    if groups >= 4 * k:  # Fewer groups often hold several of the k best.
        scores = scores[:, : groups * POOL].view(len(scores), POOL, groups).amax(1)
    if scores.shape[1] < k:
        return scores.new_full((len(scores),), LOWEST, dtype=torch.float32)

    return scores.float().topk(k).values[:, -1].clamp(min=LOWEST)
