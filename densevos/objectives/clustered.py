"""Clustered adversarial loss: do two features of one cluster come from the same domain?

This is Eq. 3 of the image-to-video revision. Only features that are already alike are compared.
The encoder therefore need not unlearn what separates the clusters, such as class and structure.

All tensors have fixed shapes, and no step waits for the device. With several processes, each
process clusters and pairs the features of its own batch.
"""

# Shapes: N features of D numbers, of a batch's images (source) and videos (target); P pairs.

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.objectives.domain import claimed, share_of

Ratio = tuple[int, int, int]
"""Pairs of source and target, of two sources, of two targets.

(1,1,1) is the ratio of Eq. 3. (2,1,1) also balances pairs of one domain and of two.
"""

SOURCE, TARGET = 1, 0


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """P pairs of rows of [N,D] features."""

    first: Tensor
    """[P] int64, a row of the features."""
    second: Tensor
    """[P] int64, another row."""
    same: Tensor
    """[P] bool: b_i of Eq. 3, whether both are of one domain."""
    valid: Tensor
    """[P] bool: False everywhere if no cluster can be used; the rows then have no meaning."""


def draw_pairs(
    clusters: Tensor,
    is_source: Tensor,
    pairs: int,
    generator: torch.Generator,
    ratio: Ratio = (1, 1, 1),
) -> Pairs:
    """Draw pairs within clusters, the three kinds exactly in `ratio`: all B_k of Eq. 3 at once.

    A cluster is used if it has at least two features of each domain. With fewer, one kind of pair
    could not be drawn and the balance would be lost. Clusters get pairs in proportion to their
    features. No feature is paired with itself. The order within a pair is random, and pairs can
    repeat.

    Args:
        clusters: Cluster of each feature, [N] in 0..N-1.
        is_source: Domain of each feature, [N] bool.
        pairs: P, rounded down to a multiple of the sum of `ratio`.
        generator: Source of the draws, on any device.
        ratio: How often each kind of pair occurs.

    Raises:
        ValueError: `pairs` is smaller than the sum of `ratio`.
    """
    units = pairs // sum(ratio)
    if not units:
        raise ValueError(f"{pairs} pairs cannot be split {':'.join(map(str, ratio))}")

    # All random numbers are drawn at once: a single copy to the device, which does not block.
    device, count = clusters.device, units * sum(ratio)
    draws = torch.rand(3 * count + 1, generator=generator, device=generator.device).to(
        device, non_blocking=True
    )
    # One offset for the systematic sampling of clusters, and three numbers for each pair.
    first_draw, second_draw, order = draws[1:].view(3, count)

    # A unit holds one pair for each part of the ratio. All pairs of a unit are of one cluster.
    rows, start, size = _members(clusters, is_source)
    used = _used(size)
    cluster = _in_proportion(size.sum(1) * used, units, draws[0]).repeat_interleave(sum(ratio))

    mixed, two_sources, two_targets = ratio
    # The domains of both features repeat in each unit, so the ratio is exact.
    domains = [(SOURCE, TARGET)] * mixed
    domains += [(SOURCE, SOURCE)] * two_sources
    domains += [(TARGET, TARGET)] * two_targets
    first_domain, second_domain = (
        torch.tensor(domains).T.repeat(1, units).to(device, non_blocking=True)
    )
    same = first_domain == second_domain

    # Ranks of the two features among those of their cluster and domain. If both are of one domain,
    # the second is drawn from all but the first, counted onwards from it.
    first_size, second_size = size[cluster, first_domain], size[cluster, second_domain]
    first_rank = _rank(first_draw, first_size)
    second_rank = _rank(second_draw, second_size - same.long())
    onwards = (first_rank + 1 + second_rank) % second_size.clamp(min=1)
    second_rank = torch.where(same, onwards, second_rank)

    # Without any usable cluster a place may lie beyond the last row; `valid` is then False.
    last = len(rows) - 1
    first = rows[(start[cluster, first_domain] + first_rank).clamp(max=last)]
    second = rows[(start[cluster, second_domain] + second_rank).clamp(max=last)]
    # A coin for each pair, or a discriminator could learn that sources come first.
    swapped = order < 0.5

    return Pairs(
        first=torch.where(swapped, second, first),
        second=torch.where(swapped, first, second),
        same=same,
        valid=used[cluster],
    )


def clustered_loss(logits: Tensor, same: Tensor, valid: Tensor) -> Tensor:
    """L_cl of Eq. 3, with both of its terms negative and the mean instead of the sum.

    Args:
        logits: Log odds [P] of q_i, the probability that a pair is of one domain.
        same: b_i, [P] bool: whether the pair is of one domain.
        valid: [P] bool: pairs that count.

    Returns:
        A scalar >= 0. Without a valid pair it is a 0 that depends on the logits: the discriminator
        then has a gradient of zeros, which training in several processes needs.
    """
    # Invalid pairs add nothing to the sum, and the clamp keeps an empty mean at 0.
    errors = F.binary_cross_entropy_with_logits(logits.float(), same.float(), reduction="none")
    return (errors * valid).sum() / valid.sum().clamp(min=1)


def same_share(ratio: Ratio) -> float:
    """The share of pairs of one domain, for the `domain.chance_level` that L_cl is compared with.

    It is 2/3 for 1:1:1 (chance level 0.6365) and 1/2 for 2:1:1 (0.6931).

    >>> same_share((2, 1, 1))
    0.5
    """
    return (ratio[1] + ratio[2]) / sum(ratio)


@torch.no_grad()
def pair_accuracy(logits: Tensor, pairs: Pairs, is_source: Tensor) -> dict[str, Tensor]:
    """The discriminator's share of right answers for each kind of pair.

    Args:
        logits: Log odds [P] that a pair is of one domain.
        pairs: The pairs.
        is_source: Domain of each feature, [N] bool.

    Returns:
        Scalars in 0..1 for `mixed` pairs, two `source` features and two `target` features.
    """
    right = claimed(logits, pairs.same) == pairs.same
    # The rows of a pair of one domain are both sources or both targets, so the first tells which.
    source = is_source[pairs.first]
    kinds = {"mixed": ~pairs.same, "source": pairs.same & source, "target": pairs.same & ~source}
    return {kind: share_of(right, among & pairs.valid) for kind, among in kinds.items()}


@torch.no_grad()
def cluster_statistics(clusters: Tensor, is_source: Tensor) -> dict[str, Tensor]:
    """How far the clusters mix the domains.

    Args:
        clusters: Cluster of each feature, [N] in 0..N-1.
        is_source: Domain of each feature, [N] bool.

    Returns:
        Scalars. `clusters_used`: number of clusters that pairs can be drawn from. `coverage`: share
        of the features in these clusters. `domain_mix`: overlap of the two domains' distributions
        over clusters, which is 1 minus their total variation distance. It is 1 if every cluster
        holds the same share of both domains, and 0 if no cluster holds both.
    """
    _, _, size = _members(clusters, is_source)
    used = _used(size)
    # Shares [N,2] of each domain's features by cluster; the overlap sums the smaller ones.
    shares = size / size.sum(0).clamp(min=1)
    coverage = (size.sum(1) * used).sum() / len(clusters)

    return {"clusters_used": used.sum(), "coverage": coverage, "domain_mix": shares.amin(1).sum()}


def _members(clusters: Tensor, is_source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows [N] by cluster and domain, and where each cluster's targets and sources start in them.

    The third tensor is their number; the last two are [N,2]. There are never more clusters than
    features, so N stands for the number of clusters, which only the device knows.
    """
    # Even keys are targets and odd ones sources. The sort is stable, so the draw can be repeated.
    key, rows = (2 * clusters + is_source).sort(stable=True)
    bounds = torch.searchsorted(key, torch.arange(2 * len(key) + 1, device=key.device))
    return rows, bounds[:-1].view(-1, 2), bounds.diff().view(-1, 2)


def _used(size: Tensor) -> Tensor:
    """Which clusters pairs can be drawn from, [N] bool, by their features of each domain [N,2]."""
    return (size >= 2).all(1)


def _in_proportion(weights: Tensor, count: int, offset: Tensor) -> Tensor:
    """Draw `count` indices in proportion to integer weights [K] by systematic sampling."""
    # Places at equal distances over the total weight: each index gets its share up to rounding.
    ends = weights.cumsum(0).float()
    places = (torch.arange(count, device=weights.device) + offset) / count * ends[-1]
    places = places.clamp(max=ends[-1] - 0.5)  # rounding must not lead beyond the last
    return torch.searchsorted(ends, places, right=True).clamp(max=len(weights) - 1)


def _rank(uniform: Tensor, size: Tensor) -> Tensor:
    """Uniform numbers in [0,1) as integers in 0..size-1; 0 if the size is 0."""
    return (uniform * size).long().minimum(size - 1).clamp(min=0)
