"""The best matches of every cell in a context of frames, as a few large products of fixed shapes:
the search for GPUs.

The grid is covered with square tiles of queries. The cells that a tile can reach in each recent
frame, a rectangle around it, are gathered once a frame; a product compares many tiles with all
their rectangles at once, and one more compares them with the whole reference frame. All shapes are
known beforehand, so the host never waits for the device.

Products are in float32, and the result is exact; or in bfloat16, where the best of a first pass are
compared again in float32. That may lose a match only where many cells are nearly equal: the device
counts the cells where it could.

Shapes: t tiles of Q queries, a rectangle of W cells around each, S recent frames, K candidates, C
channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.base.devices import arithmetic, numbers
from densevos_eval.propagation.coarse import Centred, as_queries
from densevos_eval.propagation.search import Cells, Matches, Places, is_near
from densevos_eval.propagation.settings import Ties, Window

SIDE = 16  # Of a tile, in cells: larger tiles reach more cells in vain, smaller ones make smaller products.
POOL = 16  # Scores of which the largest stands for all.
KEPT = 32  # Candidates that a first pass keeps.
ROOM = 2**29  # Bytes that the tiles which are compared at once may take.


@dataclass(frozen=True, kw_only=True)
class Tiles:
    """All tiles of a grid, alike in shape; the last ones of a row or a column overlap those before.

    queries: [T,Q] cells of each tile. reach: [T,W] cells around it.
    penalty: [T,Q,W] -inf where a cell is not within reach of a query, else 0; [1,1,1] where all
    are. home: [N] where each cell of the grid is among the T * Q queries.
    """

    queries: Tensor
    reach: Tensor
    penalty: Tensor
    home: Tensor


@dataclass(frozen=True, kw_only=True)
class Found:
    """The best candidates of some queries [t,Q,K], and what similarity the others have at most
    [t,Q].
    """

    similarity: Tensor
    index: Tensor
    others: Tensor


class WindowSearch:
    """A `Search` whose shapes are fixed, in one pass of float32 or two with bfloat16."""

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
        """first: unit features [h,w,C] of a typical frame. bf16: Whether a first pass is in
        bfloat16.
        """
        self.topk = topk
        self.ties = ties
        self._kept = max(KEPT, 3 * topk) if bf16 or ties == "all" else topk
        self._coarse = Centred(origin=first.mean((0, 1)), dtype=torch.bfloat16) if bf16 else None
        self._places = Places(
            topk=topk, ties=ties, width=first.shape[1], radius=radius, window=window
        )
        dtype = torch.bfloat16 if bf16 else torch.float32
        self._tiles = tiles_of(
            (first.shape[0], first.shape[1]), radius, window, dtype, first.device
        )
        self._asked = 0
        self._doubts = torch.zeros((), dtype=torch.long, device=first.device)

    def cells(self, unit: Tensor) -> Cells:
        """What is compared of a frame's unit features [h,w,C]."""
        exact = unit.flatten(0, 1)
        return Cells(exact=exact, coarse=self._coarse.keys(exact) if self._coarse else exact[:, :0])

    def doubtful(self) -> float:
        """Share of the cells so far whose matches may lack one of the best k. Asking waits for the
        device.
        """
        return float(self._doubts) / max(self._asked, 1)

    def search(
        self, query: Cells, reference: Cells, recent: Cells, *, slots: Sequence[int], copies: int
    ) -> Matches:
        """See `Search`."""
        frame = len(query.exact)
        places = numbers(slots, query.exact.device)
        step = self._tiles_at_once(self._vectors(query), len(slots), len(reference.exact))

        with arithmetic():
            parts = [
                self._found(slice(first, first + step), query, reference, recent, places)
                for first in range(0, len(self._tiles.queries), step)
            ]

        similarity, index, doubts = (
            torch.cat(part).index_select(0, self._tiles.home) for part in zip(*parts, strict=True)
        )
        self._asked += frame
        self._doubts = self._doubts + doubts.sum()

        return Matches(
            similarity=similarity, index=index, count=self._places.taken(similarity, index, copies)
        )

    def _vectors(self, cells: Cells) -> Tensor:
        """Those of the first or only pass."""
        return cells.coarse if self._coarse else cells.exact

    def _tiles_at_once(self, vectors: Tensor, slots: int, reference: int) -> int:
        """How many tiles fit in the room: their keys, scores with the pooled ones, and candidates
        in float32.
        """
        queries, reach = self._tiles.queries.shape[1], self._tiles.reach.shape[1]
        keys = slots * reach * vectors.shape[1]
        scores = 1.2 * queries * (slots * reach + reference)
        again = 4 * queries * self._kept * vectors.shape[1] if self._coarse else 0

        return max(1, int(ROOM / ((keys + scores) * vectors.element_size() + again)))

    def _found(
        self, tiles: slice, query: Cells, reference: Cells, recent: Cells, slots: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Similarities and indices [t*Q,K] of the matches of some tiles, and whose are doubtful
        [t*Q].
        """
        queries, reach = self._tiles.queries[tiles], self._tiles.reach[tiles]
        features = _gathered(query.exact, queries)
        vectors = _gathered(self._vectors(query), queries)
        vectors = as_queries(vectors) if self._coarse else vectors

        found = []
        if len(reference.exact):
            scores = vectors @ self._vectors(reference).T
            everywhere = torch.arange(len(reference.exact), device=reach.device).expand(
                len(reach), -1
            )
            found.append(self._best(scores, everywhere, features, reference.exact))

        if len(slots):
            near = (slots[:, None] * len(query.exact) + reach[:, None]).flatten(1)  # [t,S*W]
            scores = vectors @ _gathered(self._vectors(recent).flatten(0, 1), near).transpose(1, 2)
            penalty = (
                self._tiles.penalty[tiles] if len(self._tiles.penalty) > 1 else self._tiles.penalty
            )
            scores.unflatten(2, (len(slots), -1)).add_(penalty[:, :, None])
            one = self._best(scores, near, features, recent.exact.flatten(0, 1))
            found.append(
                Found(
                    similarity=one.similarity,
                    index=len(reference.exact) + one.index,
                    others=one.others,
                )
            )

        return self._together(found, features)

    def _best(self, scores: Tensor, keys: Tensor, features: Tensor, exact: Tensor) -> Found:
        """The best of scores [t,Q,n] with the cells `keys` [t,n] of `exact` [M,C]; features: of the
        queries [t,Q,C].
        """
        highest, places = top(scores, self._kept)
        index = keys.gather(1, places.flatten(1)).view_as(places)
        similarity = highest

        if self._coarse:
            # Compared again, in float32.
            similarity = (_gathered(exact, index) @ features[..., None])[..., 0]
            similarity = similarity.masked_fill(highest == -torch.inf, -torch.inf)

        others = highest[..., -1].float() + (1 if self._coarse else 0)
        if scores.shape[2] == highest.shape[2]:
            others = torch.full_like(others, -torch.inf)

        return Found(similarity=similarity, index=index, others=others)

    def _together(self, found: list[Found], features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The best of all candidates, as `_found` returns them: the top k of a union is that of the
        top ks.
        """
        similarity = torch.cat([one.similarity for one in found], dim=2)
        index = torch.cat([one.index for one in found], dim=2)
        missing = max(self.topk - similarity.shape[2], 0)
        similarity, index = (
            F.pad(similarity, (0, missing), value=-torch.inf),
            F.pad(index, (0, missing)),
        )
        wanted = self.topk if self.ties == "first" else min(self._kept, similarity.shape[2])
        similarity, order = similarity.topk(wanted)
        similarity, index = similarity.flatten(0, 1), index.gather(2, order).flatten(0, 1)

        others = torch.stack([one.others for one in found]).amax(0).flatten()
        return (
            similarity,
            index,
            self._may_lack(similarity[:, self.topk - 1], others, features.flatten(0, 1)),
        )

    def _may_lack(self, kth: Tensor, others: Tensor, features: Tensor) -> Tensor:
        """Whether one of the `others` may be as good as the k-th [m]; an equal one counts only if
        all equal ones do.
        """
        if self._coarse:
            return others + self._coarse.tolerance(features, kth - 1) >= kth

        return (others >= kth) & (others > -torch.inf) & (self.ties == "all")


def tiles_of(
    size: tuple[int, int], radius: float, window: Window, dtype: torch.dtype, device: torch.device
) -> Tiles:
    """The tiles of a grid [h,w], and what they reach; penalties are of the type of the scores."""
    margin = int(min(radius, max(size)))
    rows, columns = (_spans(length, margin) for length in size)
    cells = torch.arange(size[0] * size[1]).view(size)
    pairs = [(row, column) for row in rows for column in columns]
    queries = torch.stack([cells[row.own, column.own].flatten() for row, column in pairs])
    reach = torch.stack([cells[row.around, column.around].flatten() for row, column in pairs])

    near = is_near(queries[:, :, None], reach[:, None], size[1], radius, window)
    penalty = torch.where(near, 0.0, -torch.inf).to(dtype)
    if near.all():
        penalty = penalty[
            :1, :1, :1
        ]  # With an unlimited radius the penalties would fill the memory.

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
    """The part of one axis that a tile has, and that around it."""

    own: slice
    around: slice


def _spans(length: int, margin: int) -> list[_Span]:
    """Parts of equal lengths that cover an axis; where they would end outside, they begin
    earlier.
    """
    side = min(SIDE, length)
    reach = min(side + 2 * margin, length)
    spans = []

    for start in range(0, length, side):
        first = min(start, length - side)
        around = min(max(first - margin, 0), length - reach)
        spans.append(_Span(own=slice(first, first + side), around=slice(around, around + reach)))

    return spans


def top(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row [...,n] and their places, all of them where n is less.

    Of a long row, groups are compared by their largest score first: the k best are in the k best
    groups.
    """
    groups = scores.shape[-1] // POOL
    if groups < 2 * k:
        return scores.topk(min(k, scores.shape[-1]))

    grouped = scores[..., : groups * POOL].unflatten(-1, (POOL, groups))
    chosen = grouped.amax(-2).topk(k).indices
    members = torch.arange(0, groups * POOL, groups, device=scores.device)
    places = (chosen[..., None] + members).flatten(-2)
    rest = torch.arange(groups * POOL, scores.shape[-1], device=scores.device)
    places = torch.cat([places, rest.expand(*places.shape[:-1], -1)], dim=-1)
    values, order = scores.gather(-1, places).topk(k)

    return values, places.gather(-1, order)


def _gathered(table: Tensor, index: Tensor) -> Tensor:
    """Rows [...,C] of a table [M,C]."""
    return table.index_select(0, index.flatten()).view(*index.shape, -1)
