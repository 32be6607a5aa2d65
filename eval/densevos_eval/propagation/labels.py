"""Streaming label propagation: first masks and dense features in, soft masks of every frame out.

The algorithm of DUL (Araslanov et al., NeurIPS 2021, Sec. 4), which goes back to CRW and MAST: a
cell takes the labels of its most similar cells in the reference frame and in the last frames.
"""

# Shapes: C channels of a feature, h x w cells of the feature map, N = h * w, L channels of the soft
# masks (one per object id, background included), K matches of a cell, F frames.

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
    """A frame in which objects were given. Each reference has a context of its own."""

    time: int
    cells: Cells
    soft: Tensor  # [L,N]
    # Channels that were given in this frame. Every channel belongs to exactly one reference.
    channels: list[int]

    def channel_index(self) -> Tensor:
        """The channels as an index tensor on the device, [channels]."""
        return numbers(self.channels, self.soft.device)


@dataclass(kw_only=True)
class LabelPropagation:
    """Propagates soft labels through a stream of features.

    It keeps the last `context` frames and the frames with given masks. On a GPU no step waits for
    the device.

    Args:
        config: Settings of the propagation.
        new_search: Makes the search for the best matches.

    Attributes:
        ids: `ids[c]` is the object id (0: background) of channel c of every soft mask.
    """

    config: PropagationConfig = field(default_factory=PropagationConfig)
    new_search: NewSearch = new_search
    ids: list[int] = field(default_factory=list, init=False)
    _time: int = field(default=0, init=False)
    _references: list[_Reference] = field(default_factory=list, init=False)

    # None if all cells vote, or if each frame votes on its own: neither needs a search.
    _search: Search | None = field(default=None, init=False)
    _width: int = field(init=False)  # w, cells in a row of the feature map

    # Ring buffers: frame t is in slot t % context.
    _recent: Cells = field(init=False)  # [context,N,...]
    _labels: Tensor = field(init=False)  # [context,L,N]

    def step(self, features: Tensor, given: Mapping[int, Tensor] | None = None) -> Tensor:
        """Take the next frame and return its soft masks.

        Given masks overwrite what was propagated, and this frame becomes the reference of their
        objects. An id that was given before is restarted.

        Args:
            features: Features [C,h,w] of the frame.
            given: Object ids (0: background) and their masks [h,w] in [0,1] in this frame.

        Returns:
            Soft masks [L,h,w], with channels as in `ids`. Until the first mask is given, L is 0 and
            frames are not kept.
        """
        size = features.shape[1:]
        if not self._references and not given:
            self.skip()
            return features.new_zeros(0, *size, dtype=torch.float32)

        cells = self._next(features)
        soft = self._propagate(cells)
        if given:
            soft = self._overwrite(soft, given)

        self._keep(cells, soft, given or ())
        return soft.view(-1, *size)

    def recall(self, features: Tensor, soft: Tensor, given: Collection[int] = ()) -> None:
        """Take the next frame without propagating, as an earlier run did.

        Args:
            features: Features [C,h,w] of the frame.
            soft: What `step` returned for the frame in that run, [L,h,w].
            given: Ids of its given masks, in the order of that run. The first recalled frame must
                have some.
        """
        cells = self._next(features)
        self._add_channels(given)
        self._keep(cells, soft.flatten(1).to(cells.exact), given)

    def skip(self) -> None:
        """Count the next frame without keeping it: later frames do not need it."""
        self._time += 1

    def doubtful(self) -> float:
        """Share of the cells so far whose votes may lack one of the best matches.

        Asking waits for the device. See `WindowSearch` for when this happens.
        """
        return self._search.doubtful() if self._search else 0.0

    def _next(self, features: Tensor) -> Cells:
        """The cells of the next frame, from its features [C,h,w]."""
        features = features.float()
        if self.config.similarity == "cosine":
            features = F.normalize(features, dim=0)

        # [C,h,w] -> [h,w,C]: the channels of a cell lie together, as products of cells want them.
        features = features.permute(1, 2, 0).contiguous()
        if not self._references:
            self._allocate(features)

        return self._cells(features)

    def _allocate(self, features: Tensor) -> None:
        """Make the search and the buffers for frames like the first one, features [h,w,C]."""
        config = self.config
        self._width = features.shape[1]
        if config.topk != "all" and config.voting == "together":
            self._search = self.new_search(features, config)

        cells = self._cells(features)
        self._recent = Cells(
            exact=cells.exact.new_empty(config.context, *cells.exact.shape),
            coarse=cells.coarse.new_empty(config.context, *cells.coarse.shape),
        )
        self._labels = features.new_zeros(config.context, 0, len(cells.exact))

    def _cells(self, features: Tensor) -> Cells:
        if self._search:
            return self._search.cells(features)

        # Without a search there is no first pass either, so D is 0.
        exact = features.flatten(0, 1)
        return Cells(exact=exact, coarse=exact[:, :0])

    def _propagate(self, cells: Cells) -> Tensor:
        """Soft masks [L,N]: each reference fills the channels that were given in it."""
        soft = cells.exact.new_zeros(len(self.ids), len(cells.exact))
        for reference in self._references:
            soft.index_copy_(0, reference.channel_index(), self._from_context(cells, reference))

        return soft

    def _from_context(self, cells: Cells, reference: _Reference) -> Tensor:
        """Labels [channels,N] of the channels of a reference, from its context."""
        # With reference "none" the reference frame is a recent frame like the others. Otherwise it
        # is searched apart from them, so the recent frames start after it.
        apart = self.config.reference != "none"
        first = max(reference.time + apart, self._time - self.config.context)
        slots = [time % self.config.context for time in range(first, self._time)]
        copies = self._copies(reference, len(slots))

        if self._search is None or self.config.reference != "everywhere":
            return self._from_frames(cells, reference, slots, copies)

        matches = self._search.search(
            cells, reference.cells, self._recent, slots=slots, copies=copies
        )

        # Candidates are numbered from the cells of the reference on, then slot by slot.
        channels = reference.channel_index()
        in_reference = reference.soft[None].index_select(1, channels)  # [1,channels,N]
        in_recent = self._labels.index_select(1, channels)  # [context,channels,N]
        # [1+context,channels,N]. Matches are numbered through frames and cells alike, so these axes
        # are joined for the vote.
        labels = torch.cat([in_reference, in_recent])

        return _vote(matches, labels.transpose(0, 1).flatten(1), self.config.temperature)

    def _copies(self, reference: _Reference, recent: int) -> int:
        """How often the reference frame stands in for a missing recent frame."""
        if self.config.reference == "none" or self.config.early_context == "none":
            return 0
        if self.config.early_context == "repeat":
            return self.config.context - recent

        # One copy, as long as the reference frame is one of the last `context` frames.
        return int(reference.time >= self._time - self.config.context)

    def _from_frames(
        self, cells: Cells, reference: _Reference, slots: list[int], copies: int
    ) -> Tensor:
        """As `_from_context`, for the settings that treat the reference like a recent frame.

        These are a reference matched near the query (DINO, Caron et al., ICCV 2021), a reference
        that leaves the context (MuG, Lu et al., CVPR 2020, Sec. 3.3, where all cells vote), and
        frames that vote each on its own.
        """
        config = self.config
        channels = reference.channel_index()
        frames, labels = self._recent, self._labels.index_select(1, channels)

        if config.reference != "none":
            frames = Cells(
                exact=torch.cat([frames.exact, reference.cells.exact[None]]),
                coarse=torch.cat([frames.coarse, reference.cells.coarse[None]]),
            )
            labels = torch.cat([labels, reference.soft[None].index_select(1, channels)])

            # The reference frame now follows the `context` slots of recent frames, so its slot is
            # number `context`. It is searched once for itself, and once more for each recent frame
            # that it stands in for.
            reference_slot = config.context
            slots = slots + [reference_slot] * (1 + copies)

        if self._search is None:
            chosen = numbers(slots, cells.exact.device)
            features, labels = frames.exact.index_select(0, chosen), labels.index_select(0, chosen)
            if config.voting == "together":
                return _vote_of_all(cells, features, labels, config.temperature)

            size = (len(cells.exact) // self._width, self._width)
            return vote_of_each_frame(cells.exact, features, labels, size, config)

        # The reference is among the frames, so the search gets no reference of its own.
        nothing = Cells(exact=reference.cells.exact[:0], coarse=reference.cells.coarse[:0])
        matches = self._search.search(cells, nothing, frames, slots=slots, copies=0)
        return _vote(matches, labels.transpose(0, 1).flatten(1), config.temperature)

    def _overwrite(self, soft: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        """Soft masks [L,N] with the given masks in them; new ids get channels.

        pred = (1 - cover) * pred + cover * new, with cover = sum of the new masks. The second
        factor `cover` is in DUL's released program: if the mask of a later object ends inside a
        cell, its share counts squared. In the first frame the result is `new` itself, also if maps
        of joints do not add up to 1.
        """
        is_first = not self.ids
        soft = F.pad(soft, (0, 0, 0, self._add_channels(given)))
        # [given,N].
        new = torch.stack([mask.flatten().to(soft) for mask in given.values()])
        if is_first:
            return new

        # A restarted object keeps nothing of its older mask.
        channels = numbers([self.ids.index(id) for id in given], soft.device)
        soft.index_fill_(0, channels, 0)

        cover = new.sum(0)
        soft *= 1 - cover
        return soft.index_copy_(0, channels, cover * new)

    def _add_channels(self, given: Iterable[int]) -> int:
        """Add a channel for every new id; return how many were added."""
        new_ids = [id for id in given if id not in self.ids]
        self.ids += new_ids
        # Earlier frames show nothing of the new objects, so their labels are 0.
        self._labels = F.pad(self._labels, (0, 0, 0, len(new_ids)))
        return len(new_ids)

    def _keep(self, cells: Cells, soft: Tensor, given: Collection[int]) -> None:
        """Keep a frame and its soft masks [L,N] for later frames."""
        # Only what is kept becomes hard; the soft masks that `step` returns stay as they are.
        if self.config.labels == "hard":
            soft = hardened(soft)
        if given:
            self._add_reference(cells, soft, given)

        # A context of 0 frames has no slot to write to.
        if self.config.context:
            slot = self._time % self.config.context
            self._recent.exact[slot], self._recent.coarse[slot] = cells.exact, cells.coarse
            self._labels[slot] = soft

        self._time += 1

    def _add_reference(self, cells: Cells, soft: Tensor, given: Iterable[int]) -> None:
        """Make this frame the reference of the given ids, in place of earlier references."""
        channels = [self.ids.index(id) for id in given]
        references = []
        for reference in self._references:
            reference.channels = [c for c in reference.channels if c not in channels]
            if reference.channels:
                references.append(reference)

        new = _Reference(time=self._time, cells=cells, soft=soft, channels=channels)
        self._references = [*references, new]


def hardened(soft: Tensor) -> Tensor:
    """One-hot masks: 1 for the largest label of each cell, 0 for the others.

    Args:
        soft: Soft masks [L,N].

    Returns:
        Masks [L,N]. Of equal labels the first one counts.
    """
    return torch.zeros_like(soft).scatter_(0, soft.argmax(0, keepdim=True), 1)


def _vote_of_all(cells: Cells, frames: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Labels [L,N]: all cells of the frames [F,N,C], with labels [F,L,N], vote.

    Weights are softmax(similarity / temperature): MuG, Eq. 17. The label is that of the source cell
    n, where the paper prints m.
    """
    # `aggregate` takes maps: a frame becomes one column of N cells, [1,C,N,1] and [1,F,C,N,1].
    query, keys = cells.exact.T[None, ..., None], frames.transpose(1, 2)[None, ..., None]
    return aggregate(query, keys, labels[None, ..., None], temperature)[0, :, :, 0]


def _vote(matches: Matches, table: Tensor, temperature: float) -> Tensor:
    """Labels [L,N]: the matches vote with weights softmax(similarity / temperature).

    table: Labels [L,candidates].
    """
    # The best match is subtracted first, so exp() cannot overflow.
    advantage = (matches.similarity - matches.similarity[:, :1]) / temperature
    weights = matches.count * advantage.exp()
    weights = weights / weights.sum(1, keepdim=True)

    # One channel at a time: [L,N,K] for all of them would take much more memory.
    return torch.stack([(weights * labels[matches.index]).sum(1) for labels in table])
