"""Streaming label propagation: first masks and dense features in, soft masks of every frame out.

The algorithm of DUL (Araslanov et al., NeurIPS 2021, Sec. 4), which goes back to CRW and MAST: a
cell takes the labels of its most similar cells in the reference frame and in the last frames.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.models.aggregation import aggregate
from densevos_eval.base.devices import numbers
from densevos_eval.propagation.each_frame import vote_of_each_frame
from densevos_eval.propagation.search import Cells, Matches, Search
from densevos_eval.propagation.searches import NewSearch, new_search
from densevos_eval.propagation.settings import PropagationConfig


@dataclass(kw_only=True)
class _Reference:
    """A frame in which objects were given: the start of a context of its own."""

    time: int
    cells: Cells
    soft: Tensor  # [L,h*w]
    channels: list[int]  # those given here; other references answer for the others

    def places(self) -> Tensor:
        """The channels on the device, [channels]."""
        return numbers(self.channels, self.soft.device)


@dataclass(kw_only=True)
class LabelPropagation:
    """Propagates soft labels through a stream of features; keeps the last `context` frames and the
    given ones.

    `ids[c]` is the object id (0: background) of channel c of every soft mask. `new_search` makes
    what finds the best matches. On a GPU no step waits for the device.
    """

    config: PropagationConfig = field(default_factory=PropagationConfig)
    new_search: NewSearch = new_search
    ids: list[int] = field(default_factory=list, init=False)
    _time: int = field(default=0, init=False)
    _references: list[_Reference] = field(default_factory=list, init=False)
    _search: Search | None = field(
        default=None, init=False
    )  # None where not the best of all frames together vote
    _width: int = field(init=False)  # of a frame, in cells
    _recent: Cells = field(init=False)  # [context,h*w,...], frame t in slot t % context
    _labels: Tensor = field(init=False)  # [context,L,h*w]

    def step(self, features: Tensor, given: Mapping[int, Tensor] | None = None) -> Tensor:
        """Take the next frame's features [C,h,w]; return its soft masks [L,h,w], channels as in
        `ids`.

        `given` maps object ids (0: background) to masks [h,w] in [0,1] known for this frame. They
        overwrite what was propagated and this frame becomes the reference of those objects. An id
        that was given before is restarted. Before anything is given, L is 0 and the frame is
        forgotten.
        """
        size = features.shape[1:]
        if not self._references and not given:
            self.skip()
            return features.new_zeros(0, *size, dtype=torch.float32)

        cells = self._next(features)
        soft = self._propagate(cells)
        if given:
            soft = self._overwrite(soft, given)

        self._hand_on(cells, soft, given or ())
        return soft.view(-1, *size)

    def recall(self, features: Tensor, soft: Tensor, given: Collection[int] = ()) -> None:
        """Take the next frame as `step` did in an earlier run, which returned `soft` [L,h,w] for
        it.

        given: the ids of its given masks, in the order of that run. The first frame that is
        recalled has some.
        """
        cells = self._next(features)
        self._join(given)
        self._hand_on(cells, soft.flatten(1).to(cells.exact), given)

    def skip(self) -> None:
        """Leave out the next frame: nothing was given before, or a recalled run needs it no
        more.
        """
        self._time += 1

    def doubtful(self) -> float:
        """Share of the cells so far whose votes may lack one of the best matches, see
        `WindowSearch`.

        Asking waits for the device.
        """
        return self._search.doubtful() if self._search else 0.0

    def _next(self, features: Tensor) -> Cells:
        """What is compared of the next frame, by its features [C,h,w]."""
        unit = (
            features.float()
            if self.config.similarity == "dot"
            else F.normalize(features.float(), dim=0)
        )
        unit = unit.permute(1, 2, 0).contiguous()
        if not self._references:
            self._begin(unit)

        return self._cells(unit)

    def _begin(self, unit: Tensor) -> None:
        config = self.config
        self._width = unit.shape[1]
        if config.topk != "all" and config.voting == "together":
            self._search = self.new_search(unit, config)

        cells = self._cells(unit)
        self._recent = Cells(
            exact=cells.exact.new_empty(self.config.context, *cells.exact.shape),
            coarse=cells.coarse.new_empty(self.config.context, *cells.coarse.shape),
        )
        self._labels = unit.new_zeros(self.config.context, 0, len(cells.exact))

    def _cells(self, unit: Tensor) -> Cells:
        if self._search:
            return self._search.cells(unit)
        exact = unit.flatten(0, 1)
        return Cells(exact=exact, coarse=exact[:, :0])

    def _propagate(self, cells: Cells) -> Tensor:
        """Sum over the references of what each one's context says about its own channels,
        [L,h*w].
        """
        soft = cells.exact.new_zeros(len(self.ids), len(cells.exact))
        for reference in self._references:
            soft.index_copy_(0, reference.places(), self._from_context(cells, reference))

        return soft

    def _from_context(self, cells: Cells, reference: _Reference) -> Tensor:
        apart = self.config.reference != "none"
        first = max(reference.time + apart, self._time - self.config.context)
        slots = [time % self.config.context for time in range(first, self._time)]
        copies = self._copies(reference, len(slots))
        if self._search is None or self.config.reference != "everywhere":
            return self._from_frames(cells, reference, slots, copies)

        matches = self._search.search(
            cells, reference.cells, self._recent, slots=slots, copies=copies
        )
        places = reference.places()
        table = torch.cat(
            [reference.soft[None].index_select(1, places), self._labels.index_select(1, places)]
        )

        return _vote(matches, table.transpose(0, 1).flatten(1), self.config.temperature)

    def _copies(self, reference: _Reference, recent: int) -> int:
        """How many times the reference frame stands in for recent frames, besides standing for
        itself.
        """
        if self.config.reference == "none" or self.config.early_context == "none":
            return 0
        if self.config.early_context == "repeat":
            return self.config.context - recent

        return int(reference.time >= self._time - self.config.context)

    def _from_frames(
        self, cells: Cells, reference: _Reference, slots: list[int], copies: int
    ) -> Tensor:
        """The same where the reference is a frame like the recent ones (DINO, Caron et al., ICCV
        2021), or only while it is one of them (MuG, Lu et al., CVPR 2020, Sec. 3.3), where all
        cells vote, or each frame on its own."""
        config = self.config
        frames, labels = self._recent, self._labels.index_select(1, reference.places())
        if config.reference != "none":
            frames = Cells(
                exact=torch.cat([frames.exact, reference.cells.exact[None]]),
                coarse=torch.cat([frames.coarse, reference.cells.coarse[None]]),
            )
            labels = torch.cat([labels, reference.soft[None].index_select(1, reference.places())])
            slots = [*slots, *[config.context] * (1 + copies)]

        if self._search is None:
            chosen = numbers(slots, cells.exact.device)
            features, labels = frames.exact.index_select(0, chosen), labels.index_select(0, chosen)
            if config.voting == "together":
                return _vote_of_all(cells, features, labels, config.temperature)

            size = (len(cells.exact) // self._width, self._width)
            return vote_of_each_frame(cells.exact, features, labels, size, config)

        nothing = Cells(exact=reference.cells.exact[:0], coarse=reference.cells.coarse[:0])
        matches = self._search.search(cells, nothing, frames, slots=slots, copies=0)
        return _vote(matches, labels.transpose(0, 1).flatten(1), config.temperature)

    def _overwrite(self, soft: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        """pred = (1 - cover) * pred + cover * new with cover = sum of the new masks; new ids get
        channels.

        The second factor `cover` is the release's: where a mask of later objects ends inside a
        cell, its share counts squared. A first frame is `new` itself, also where maps of joints do
        not add up to 1.
        """
        is_first = not self.ids
        soft = F.pad(soft, (0, 0, 0, self._join(given)))
        new = torch.stack([mask.flatten().to(soft) for mask in given.values()])
        if is_first:
            return new

        channels = numbers([self.ids.index(i) for i in given], soft.device)
        soft.index_fill_(0, channels, 0)  # nothing is left of the older mask of a restarted object
        cover = new.sum(0)
        soft *= 1 - cover

        return soft.index_copy_(0, channels, cover * new)

    def _join(self, given: Iterable[int]) -> int:
        """Give a channel to every id that has none; return how many those are."""
        new_ids = [i for i in given if i not in self.ids]
        self.ids += new_ids
        self._labels = F.pad(self._labels, (0, 0, 0, len(new_ids)))
        return len(new_ids)

    def _hand_on(self, cells: Cells, soft: Tensor, given: Collection[int]) -> None:
        """Keep a frame and its soft masks [L,h*w] for those that follow."""
        if self.config.labels == "hard":
            soft = hardened(soft)
        if given:
            self._refer(cells, soft, given)

        self._remember(cells, soft)
        self._time += 1

    def _refer(self, cells: Cells, soft: Tensor, given: Iterable[int]) -> None:
        """Make this frame answer for the given ids, in place of the references that did so far."""
        channels = [self.ids.index(i) for i in given]
        for reference in self._references:
            reference.channels = [c for c in reference.channels if c not in channels]

        kept = [reference for reference in self._references if reference.channels]
        self._references = [
            *kept,
            _Reference(time=self._time, cells=cells, soft=soft, channels=channels),
        ]

    def _remember(self, cells: Cells, soft: Tensor) -> None:
        if self.config.context:
            slot = self._time % self.config.context
            self._recent.exact[slot], self._recent.coarse[slot] = cells.exact, cells.coarse
            self._labels[slot] = soft


def hardened(soft: Tensor) -> Tensor:
    """Soft masks [L,N] with 1 for the largest of each cell, the first of equals, and 0 for the
    others.
    """
    return torch.zeros_like(soft).scatter_(0, soft.argmax(0, keepdim=True), 1)


def _vote_of_all(cells: Cells, frames: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Labels of all cells of the frames [F,N,C], weighted by softmax(similarity / temperature):
    [L,N].

    labels: [F,L,N]. MuG, Eq. 17, where the label is that of the source cell n (the paper prints m).
    """
    query, keys = cells.exact.T[None, ..., None], frames.transpose(1, 2)[None, ..., None]
    return aggregate(query, keys, labels[None, ..., None], temperature)[0, :, :, 0]


def _vote(matches: Matches, table: Tensor, temperature: float) -> Tensor:
    """Labels of the chosen candidates, weighted by softmax(similarity / temperature): [L,N].

    table: [L,candidates].
    """
    advantage = (matches.similarity - matches.similarity[:, :1]) / temperature
    weights = matches.count * advantage.exp()
    weights = weights / weights.sum(1, keepdim=True)
    return torch.stack([(weights * labels[matches.index]).sum(1) for labels in table])
