"""The best matches of every cell in a context of frames: exact top-k without the full similarity matrix.

A cell of the current frame may choose among *all* cells of a reference frame and among the cells within reach
in each recent frame. Queries are taken in square tiles; a tile is compared with the reference frame
and with the cells of recent frames that it can reach.

The comparison has two passes. The first, in bfloat16 where the processor multiplies it fast, bounds every
similarity; the second computes in float32 the few candidates of a tile whose bound reaches the top-k of one
of its queries. The result is that of float32 throughout.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.devices import multiplies_bf16
from densevos_eval.propagation.settings import Ties, Window

POOL = 16
LOWEST = -4.0  # Below every score: a score is a cosine less 1.


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Features of the cells of a frame (or of several, with a leading dimension) in row order.

    exact: [N,C] float32 of unit length.
    coarse: [N,C+4] for the first pass: the features less the origin, and what adds it again.
    """

    exact: Tensor
    coarse: Tensor


@dataclass(frozen=True, kw_only=True)
class Matches:
    """The best distinct candidates of every query cell, best first: K of them, k or more where several are equal.

    similarity: [N,K] cosine, -inf where a cell has fewer candidates than K.
    index: [N,K] into the cells of the reference followed by the cells of all slots of the recent frames.
    count: [N,K] how many places a candidate takes: several for a repeated reference, 0 beyond the k-th place.
    """

    similarity: Tensor
    index: Tensor
    count: Tensor


@dataclass(frozen=True, kw_only=True)
class Tile:
    """Queries that are compared together: their cells [m], the cells [r] within reach of any of them, and a
    penalty [m,1,r] of -inf where a cell is not within reach of the query, [m,1,1] where all are."""

    queries: Tensor
    reach: Tensor
    penalty: Tensor


class Affinity:
    """Exact top-k search for frames of one size.

    Near are offsets (dy,dx) with sqrt(dy^2+dx^2) < radius, <= radius in a disc, |dy|, |dx| <= radius in a square. Of
    candidates that are equal at the k-th place, the first count, or all (`ties`). Features are
    measured from an origin, the mean of the first frame: dense features lie close together, and their differences
    survive rounding better.
    """

    def __init__(self, first: Tensor, *, radius: float, topk: int, window: Window = "circle", ties: Ties = "first"):
        """first: unit features [h,w,C] of a typical frame."""
        self.size = (first.shape[0], first.shape[1])
        self.radius = radius
        self.window = window
        self.topk = topk
        self.ties = ties
        self.origin = first.mean((0, 1))
        self._rounding = 0.0  # Largest relative error of a coarse vector so far.
        self._tiles = _tiles(self.size, radius, window, coarse_dtype(first.device), first.device)

    def cells(self, unit: Tensor) -> Cells:
        """Both representations of a frame's unit features [h,w,C].

        With s(x) = x.origin - (origin.origin + 1) / 2 the coarse product of a query q and a key k is
        (q - origin).(k - origin) + s(q) + s(k) = q.k - 1: near 0, where floats are dense, for the best.
        """
        dtype = self._tiles[0].penalty.dtype
        exact = unit.flatten(0, 1)
        centred = exact - self.origin
        shift = exact @ self.origin - (self.origin @ self.origin + 1) / 2
        rounded, high = centred.to(dtype), shift.to(dtype)
        error = (centred - rounded).norm(dim=1) / centred.norm(dim=1).clamp(min=1e-12)
        self._rounding = max(self._rounding, error.max().item())
        one = torch.ones_like(high)
        shifts = torch.stack([high, (shift - high).to(dtype), one, one], dim=1)
        return Cells(exact=exact, coarse=torch.cat([rounded, shifts], dim=1))

    def search(self, query: Cells, reference: Cells, recent: Cells, slots: Tensor, copies: int) -> Matches:
        """Best matches of all query cells in the reference frame and in the `slots` of `recent` [S,N,...].

        `copies` says how many times the reference frame stands in for a missing recent frame: each of its
        near cells then is 1 + copies candidates of the same similarity. The reference may be empty (no cells).
        """
        frame, cells = len(query.exact), len(reference.exact)
        room = cells + len(slots) * max(len(tile.reach) for tile in self._tiles)
        keys = reference.coarse.new_empty(room, reference.coarse.shape[1])
        keys[:cells] = reference.coarse
        similarity = torch.full((frame, self.topk), -torch.inf, device=keys.device)
        index = torch.zeros(frame, self.topk, dtype=torch.long, device=keys.device)
        for tile in self._tiles:
            near = (slots[:, None] * frame + tile.reach).flatten()
            used = keys[: cells + len(near)]
            torch.index_select(recent.coarse.flatten(0, 1), 0, near, out=used[cells:])
            contenders, allowed = self._contenders(query, tile, used, cells)
            split = int((contenders < cells).sum())
            places = near[contenders[split:] - cells]
            features = torch.cat([reference.exact[contenders[:split]], recent.exact.flatten(0, 1)[places]])
            exact = (query.exact[tile.queries] @ features.T).masked_fill_(~allowed, -torch.inf)
            best, order = self._best(exact)
            if best.shape[1] > similarity.shape[1]:  # Only where more are equal than there are places.
                more = (0, best.shape[1] - similarity.shape[1])
                similarity, index = F.pad(similarity, more, value=-torch.inf), F.pad(index, more)
            similarity[tile.queries, : best.shape[1]] = best
            index[tile.queries, : best.shape[1]] = torch.cat([contenders[:split], cells + places])[order]
        return Matches(similarity=similarity, index=index, count=self._places(similarity, index, copies))

    def _best(self, exact: Tensor) -> tuple[Tensor, Tensor]:
        """The top-k of each row [m,n] and their places, best first; more columns where more are equal to the k-th."""
        count = min(self.topk, exact.shape[1])
        best, order = exact.topk(count)
        if self.ties == "first":
            return best, order
        last = best[:, -1:]
        equal = int(((exact >= last) & (last > -torch.inf)).sum(1).max())
        return exact.topk(equal) if equal > count else (best, order)

    def _contenders(self, query: Cells, tile: Tile, keys: Tensor, everywhere: int) -> tuple[Tensor, Tensor]:
        """Keys (indices [n]) that may be among the top-k of a query of the tile; which query may [m,n].

        The first `everywhere` keys are within reach of all queries.
        """
        scores = _as_queries(query.coarse[tile.queries]) @ keys.T
        frames = (len(keys) - everywhere) // max(len(tile.reach), 1)
        scores[:, everywhere:].view(len(scores), frames, len(tile.reach)).add_(tile.penalty)
        kth = _lower_bound_of_kth(scores, self.topk)
        threshold = kth - 2 * self._tolerance(query.exact[tile.queries], kth)
        # Subtracting and comparing the maxima is several times faster than comparing and any().
        scores -= threshold[:, None].to(scores.dtype)
        contenders = (scores.amax(0) >= 0).nonzero()[:, 0]
        return contenders, scores[:, contenders] > -torch.inf

    def _tolerance(self, exact: Tensor, kth: Tensor) -> Tensor:
        """How far the coarse score of a candidate near the top-k of a query may be from its similarity - 1.

        Rounding errors e(q), e(k) relative to the lengths of q and k, both measured from the origin, change
        a product by at most |q||k|(e(q) + e(k) + e(q)e(k)). As a candidate at least as good as the k-th is
        within distance sqrt(-2 (kth - error)) of q, its length is bounded too.
        """
        resolution = torch.finfo(self._tiles[0].penalty.dtype).eps
        length = (exact - self.origin).norm(dim=1)
        relative = length * self._rounding * (2 + self._rounding)
        sums = exact.shape[1] * 2e-7 + resolution**2 + resolution * kth.abs()
        loose = 2 * relative + sums  # No vector is longer than 2.
        distance = (2 * (loose - kth)).clamp(min=0).sqrt()
        return relative * (length + distance) + sums

    def _places(self, similarity: Tensor, index: Tensor, copies: int) -> Tensor:
        """Places that each sorted candidate takes once repetitions of the reference count."""
        cells = len(index)
        own = torch.arange(cells, device=index.device)[:, None]
        repeated = (index < cells) & is_near(own, index % cells, self.size[1], self.radius, self.window)
        multiplicity = 1 + copies * repeated.long()
        before = multiplicity.cumsum(1) - multiplicity
        if self.ties == "first":
            return (self.topk - before).clamp(min=0).minimum(multiplicity)
        last = torch.where(before < self.topk, similarity, torch.inf).amin(1, keepdim=True)
        return multiplicity * (similarity >= last)


def coarse_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor has instructions for its products, else float32."""
    return torch.bfloat16 if multiplies_bf16(device) else torch.float32


def tile_side(device: torch.device) -> int:
    """Cells: small where the scores of a tile should fit the cache, large where few large products are fast.

    The host waits for the device twice a tile.
    """
    return 8 if device.type == "cpu" else 32


def _tiles(
    size: tuple[int, int], radius: float, window: Window, dtype: torch.dtype, device: torch.device
) -> list[Tile]:
    h, w = size
    side = tile_side(device)
    cells = torch.arange(h * w, device=device).view(h, w)
    return [
        _tile(cells, slice(top, top + side), slice(left, left + side), radius, window, dtype)
        for top in range(0, h, side)
        for left in range(0, w, side)
    ]


def _tile(cells: Tensor, rows: slice, columns: slice, radius: float, window: Window, dtype: torch.dtype) -> Tile:
    margin = int(min(radius, max(cells.shape)))
    queries = cells[rows, columns].flatten()
    top, left = max(rows.start - margin, 0), max(columns.start - margin, 0)
    around = cells[top : rows.stop + margin, left : columns.stop + margin].flatten()
    near = is_near(queries[:, None], around, cells.shape[1], radius, window)
    reached = near.any(0)
    limits = near[:, reached]
    if limits.all():
        limits = limits[:, :1]  # With an unlimited radius the penalties of all tiles would fill the memory.
    penalty = torch.where(limits, 0.0, -torch.inf).to(dtype)
    return Tile(queries=queries, reach=around[reached], penalty=penalty[:, None])


def is_near(a: Tensor, b: Tensor, width: int, radius: float, window: Window) -> Tensor:
    """Whether two cells, given by their indices in row order, are within reach of one another."""
    dy, dx = a // width - b // width, a % width - b % width
    if window == "square":
        return torch.maximum(dy.abs(), dx.abs()) <= radius
    if window == "disc":
        return dy * dy + dx * dx <= radius * radius
    return dy * dy + dx * dx < radius * radius


def _as_queries(coarse: Tensor) -> Tensor:
    """Coarse vectors whose products with coarse keys add the shifts of both: [.., high, low, 1, 1] turned."""
    return torch.cat([coarse[:, :-4], coarse[:, -2:], coarse[:, -4:-2]], dim=1)


def _lower_bound_of_kth(scores: Tensor, k: int) -> Tensor:
    """At most the k-th largest score of each row [m] float32, and seldom less: the k-th largest group maximum."""
    groups = scores.shape[1] // POOL
    if groups >= 4 * k:  # Fewer groups often hold several of the k best.
        scores = scores[:, : groups * POOL].view(len(scores), POOL, groups).amax(1)
    if scores.shape[1] < k:
        return scores.new_full((len(scores),), LOWEST, dtype=torch.float32)
    return scores.float().topk(k).values[:, -1].clamp(min=LOWEST)
