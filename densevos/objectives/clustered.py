"""Clustered adversarial loss: are two features of one cluster of the same domain? (image-to-video
revision, Eq. 3)

Domains are compared among features that are alike already, so that what tells clusters apart
(class, structure) is not what the encoder unlearns. Everything has a fixed shape and no step waits
for the device. With several processes, the clusters and pairs are those of a process's own batch.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.objectives.domain import claimed, share_of

Ratio = tuple[int, int, int]
"""Pairs of source and target, of two sources, of two targets: (1,1,1) is Eq. 3's, (2,1,1) balances
`same` too.
"""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """P pairs of rows of [N,D] features."""

    first: Tensor  # [P] int64
    second: Tensor  # [P] int64
    same: Tensor  # [P] bool: b_i of Eq. 3, whether both are of one domain
    valid: (
        Tensor  # [P] bool: False everywhere when no cluster can be used; the rows then mean nothing
    )


def draw_pairs(
    clusters: Tensor,
    is_source: Tensor,
    pairs: int,
    generator: torch.Generator,
    ratio: Ratio = (1, 1, 1),
) -> Pairs:
    """B_k of Eq. 3 for all clusters at once: pairs within a cluster, of each kind exactly as often
    as `ratio` says.

    clusters [N] in 0..N-1 and is_source [N] bool describe the features. A cluster is used when it
    has two features of each domain or more: with fewer, one kind could not be drawn and the balance
    would be lost. Clusters get pairs in proportion to their features. No feature is paired with
    itself; the order within a pair is random, and pairs can repeat. P is `pairs`, less what does
    not divide by the sum of the ratio. Raises ValueError when that is nothing.
    """
    units = pairs // sum(ratio)
    if not units:
        raise ValueError(f"{pairs} pairs cannot be split {':'.join(map(str, ratio))}")

    device, count = clusters.device, units * sum(ratio)
    draws = torch.rand(3 * count + 1, generator=generator, device=generator.device).to(
        device, non_blocking=True
    )
    u, v, order = draws[1:].view(3, count)

    rows, start, size = _members(clusters, is_source)
    used = _used(size)
    cluster = _in_proportion(size.sum(1) * used, units, draws[0]).repeat_interleave(sum(ratio))
    kinds = ((1, 0),) * ratio[0] + ((1, 1),) * ratio[1] + ((0, 0),) * ratio[2]  # 1: source
    a, b = torch.tensor(kinds).T.repeat(1, units).to(device, non_blocking=True)
    same = a == b

    i = _rank(u, size[cluster, a])
    j = _rank(v, size[cluster, b] - same.long())  # of two of one domain, the second is any other
    j = torch.where(same, (i + 1 + j) % size[cluster, b].clamp(min=1), j)
    last = len(rows) - 1
    left, right = (rows[(start[cluster, d] + rank).clamp(max=last)] for d, rank in ((a, i), (b, j)))
    swapped = order < 0.5

    return Pairs(
        first=torch.where(swapped, right, left),
        second=torch.where(swapped, left, right),
        same=same,
        valid=used[cluster],
    )


def clustered_loss(logits: Tensor, same: Tensor, valid: Tensor) -> Tensor:
    """L_cl of Eq. 3 with both of its terms negative, and with the mean in the place of the sum: a
    scalar >= 0.

    logits [P]: log odds of q_i, that a pair is of one domain. Where no pair is valid it is a 0 that
    touches the logits: the discriminator then has a gradient of zeros, as several processes need
    it.
    """
    errors = F.binary_cross_entropy_with_logits(logits.float(), same.float(), reduction="none")
    return (errors * valid).sum() / valid.sum().clamp(min=1)


def same_share(ratio: Ratio) -> float:
    """The share of pairs of one domain, whose `domain.chance_level` is what L_cl is compared with.

    2/3 for 1:1:1 (0.6365), 1/2 for 2:1:1 (0.6931).
    """
    return (ratio[1] + ratio[2]) / sum(ratio)


@torch.no_grad()
def pair_accuracy(logits: Tensor, pairs: Pairs, is_source: Tensor) -> dict[str, Tensor]:
    """The discriminator's share of right answers on pairs of source and target, two sources, two
    targets: scalars.
    """
    right = claimed(logits, pairs.same) == pairs.same
    source = is_source[pairs.first]
    kinds = {"mixed": ~pairs.same, "source": pairs.same & source, "target": pairs.same & ~source}
    return {kind: share_of(right, among & pairs.valid) for kind, among in kinds.items()}


@torch.no_grad()
def cluster_statistics(clusters: Tensor, is_source: Tensor) -> dict[str, Tensor]:
    """How far the clusters mix the domains: scalars.

    clusters_used: clusters of which pairs can be drawn. coverage: the share of features in them.
    domain_mix: what the two domains' distributions over clusters have in common, 1 - their total
    variation distance: 1 when every cluster holds the same share of both, 0 when none holds both.
    """
    _, _, size = _members(clusters, is_source)
    used = _used(size)
    shares = size / size.sum(0).clamp(min=1)
    coverage = (size.sum(1) * used).sum() / len(clusters)

    return {"clusters_used": used.sum(), "coverage": coverage, "domain_mix": shares.amin(1).sum()}


def _members(clusters: Tensor, is_source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows [N] sorted by cluster and domain; where each cluster's targets and sources start in
    them, how many [N,2].

    There are never more clusters than features, so N stands for their number, which only the device
    knows.
    """
    key, rows = (2 * clusters + is_source).sort(stable=True)
    bounds = torch.searchsorted(key, torch.arange(2 * len(key) + 1, device=key.device))
    return rows, bounds[:-1].view(-1, 2), bounds.diff().view(-1, 2)


def _used(size: Tensor) -> Tensor:
    return (size >= 2).all(1)


def _in_proportion(weights: Tensor, count: int, offset: Tensor) -> Tensor:
    """`count` indices of integer weights [K], each as often as its share says, up to one
    (systematic sampling).
    """
    ends = weights.cumsum(0).float()
    places = (torch.arange(count, device=weights.device) + offset) / count * ends[-1]
    places = places.clamp(max=ends[-1] - 0.5)  # rounding must not lead beyond the last
    return torch.searchsorted(ends, places, right=True).clamp(max=len(weights) - 1)


def _rank(uniform: Tensor, size: Tensor) -> Tensor:
    """Uniform numbers in [0,1) -> whole ones in 0..size-1; 0 where there is none."""
    return (uniform * size).long().minimum(size - 1).clamp(min=0)
