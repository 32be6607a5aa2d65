"""Streaming label propagation: first masks and dense features in, soft masks of every frame out.

The algorithm of DUL (Araslanov et al., NeurIPS 2021, Sec. 4), which goes back to CRW and MAST: a cell takes
the labels of its most similar cells in the reference frame and in the last frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.affinity import Matches, best_matches
from densevos_eval.settings import PropagationConfig


@dataclass(kw_only=True)
class _Reference:
    """A frame in which objects were given: the start of a context of its own."""

    time: int
    features: Tensor  # [h,w,C]
    soft: Tensor  # [L,h*w]
    channels: list[int]  # those given here; other references answer for the others


@dataclass(kw_only=True)
class LabelPropagation:
    """Propagates soft labels through a stream of features; keeps the last `context` frames and the given ones.

    `ids[c]` is the object id (0: background) of channel c of every soft mask.
    """

    config: PropagationConfig = field(default_factory=PropagationConfig)
    ids: list[int] = field(default_factory=list, init=False)
    _time: int = field(default=0, init=False)
    _references: list[_Reference] = field(default_factory=list, init=False)
    _recent: Tensor = field(init=False)  # [context,h,w,C], frame t in slot t % context
    _labels: Tensor = field(init=False)  # [context,L,h*w]

    def step(self, features: Tensor, given: Mapping[int, Tensor] | None = None) -> Tensor:
        """Take the next frame's features [C,h,w]; return its soft masks [L,h,w], channels as in `ids`.

        `given` maps object ids (0: background) to masks [h,w] in [0,1] known for this frame. They overwrite
        what was propagated and this frame becomes the reference of those objects. An id that was given
        before is restarted. Before anything is given, L is 0 and the frame is forgotten.
        """
        size = features.shape[1:]
        unit = F.normalize(features.float(), dim=0).permute(1, 2, 0).contiguous()
        if not self._references and given:
            self._recent = unit.new_empty(self.config.context, *unit.shape)
            self._labels = unit.new_zeros(self.config.context, 0, size.numel())
        soft = self._propagate(unit)
        if given:
            soft = self._overwrite(soft, given)
            self._refer(unit, soft, given)
        if self._references:
            self._remember(unit, soft)
        self._time += 1
        return soft.view(-1, *size)

    def _propagate(self, unit: Tensor) -> Tensor:
        """Sum over the references of what each one's context says about its own channels, [L,h*w]."""
        soft = unit.new_zeros(len(self.ids), unit.shape[0] * unit.shape[1])
        for reference in self._references:
            soft[reference.channels] = self._from_context(unit, reference)
        return soft

    def _from_context(self, unit: Tensor, reference: _Reference) -> Tensor:
        first = max(reference.time + 1, self._time - self.config.context)
        slots = [t % self.config.context for t in range(first, self._time)]
        if len(slots) == self.config.context:
            recent, labels = self._recent, self._labels  # Any order will do: saves copying the ring.
        else:
            chosen = torch.tensor(slots, dtype=torch.long, device=unit.device)
            recent, labels = self._recent[chosen], self._labels[chosen]
        matches = best_matches(
            unit,
            reference.features,
            recent,
            radius=self.config.radius,
            topk=self.config.topk,
            copies=self.config.context - len(slots),
        )
        table = torch.cat([reference.soft[None, reference.channels], labels[:, reference.channels]])
        return _vote(matches, table.transpose(0, 1).flatten(1), self.config.temperature)

    def _overwrite(self, soft: Tensor, given: Mapping[int, Tensor]) -> Tensor:
        """pred = (1 - cover) * pred + cover * new with cover = sum of the new masks; new ids get channels.

        The second factor `cover` is the release's: where a mask of later objects ends inside a cell, its
        share counts squared. A first frame, whose masks cover all, is `new` itself.
        """
        new_ids = [i for i in given if i not in self.ids]
        self.ids += new_ids
        soft = F.pad(soft, (0, 0, 0, len(new_ids)))
        self._labels = F.pad(self._labels, (0, 0, 0, len(new_ids)))
        new = torch.stack([mask.flatten().to(soft) for mask in given.values()])
        channels = [self.ids.index(i) for i in given]
        soft[channels] = 0  # nothing is left of the older mask of a restarted object
        cover = new.sum(0)
        soft *= 1 - cover
        soft[channels] = cover * new
        return soft

    def _refer(self, unit: Tensor, soft: Tensor, given: Mapping[int, Tensor]) -> None:
        """Make this frame answer for the given ids, in place of the references that did so far."""
        channels = [self.ids.index(i) for i in given]
        for reference in self._references:
            reference.channels = [c for c in reference.channels if c not in channels]
        kept = [reference for reference in self._references if reference.channels]
        self._references = [*kept, _Reference(time=self._time, features=unit, soft=soft, channels=channels)]

    def _remember(self, unit: Tensor, soft: Tensor) -> None:
        if self.config.context:
            self._recent[self._time % self.config.context] = unit
            self._labels[self._time % self.config.context] = soft


def _vote(matches: Matches, table: Tensor, temperature: float) -> Tensor:
    """Labels of the chosen candidates, weighted by softmax(similarity / temperature): [L,N].

    table: [L,candidates].
    """
    advantage = (matches.similarity - matches.similarity[:, :1]) / temperature
    weights = matches.count * advantage.exp()
    weights = weights / weights.sum(1, keepdim=True)
    return torch.stack([(weights * labels[matches.index]).sum(1) for labels in table])
