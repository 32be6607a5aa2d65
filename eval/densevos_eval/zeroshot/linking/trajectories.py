"""Trajectories of UnOVOST: tracklets of one object, joined across the gaps in which it is not seen.

A tracklet is known by its index. Tracklets link back to earlier ones, which makes trees; every tree
is cut into paths, the best first (the paper's forest path cutting).
"""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist, pdist

from densevos_eval.zeroshot.linking.tracklets import Tracklet

COVERAGE, VISUAL = 0.9, 0.1
"""How much length and likeness count when the best path of a tree is chosen."""
NONE = -1  # instead of an index, in arrays
ROWS = 256  # of the matrix of distances that are in memory at once

Path = tuple[int, ...]


def merge_links(tracklets: Sequence[Tracklet]) -> list[int | None]:
    """The tracklet that each one continues, None for none.

    Candidates have ended before it starts. It is linked to the one that looks most alike, with one
    exception: where the second most alike already continues the most alike, the second is
    preferred, and the same question is asked of the second and those that continue it, down to the
    tail of the chain. (The release stops after one step: a comparison of times is turned round, so
    that nothing is left to ask.)

    Args:
        tracklets: By start.
    """
    starts = np.array([one.start for one in tracklets])
    ends = np.array([one.end for one in tracklets])
    appearances = np.array([one.appearance for one in tracklets])

    links = np.full(len(tracklets), NONE)
    for index in range(len(tracklets)):
        ended = np.flatnonzero(ends < starts[index])
        if len(ended):
            distances = cdist(appearances[index][None], appearances[ended])[0]
            links[index] = _parent(ended, distances, links)

    return [None if link == NONE else link for link in links.tolist()]


def _parent(ended: np.ndarray, distances: np.ndarray, links: np.ndarray) -> int:
    """Which of the candidates [K] (indices, ascending), given with their distances [K], a tracklet
    continues.
    """
    among = np.arange(len(ended))
    while True:
        places = among[np.argsort(distances[among], kind="stable")[:2]]
        nearest, *others = ended[places].tolist()
        if not others or links[others[0]] != nearest:
            return int(nearest)

        second = others[0]
        among = np.flatnonzero((ended == second) | (links[ended] == second))


def chains(links: Sequence[int | None]) -> list[Path]:
    """The way from a root to every tracklet that none continues; ways of one tree share their
    beginning.
    """
    visited: set[int] = set()
    found: list[Path] = []
    for tail in reversed(range(len(links))):
        if tail in visited:
            continue

        chain: list[int] = []
        member: int | None = tail
        while member is not None:
            chain.append(member)
            member = links[member]

        visited.update(chain)
        found.append(tuple(reversed(chain)))

    return sorted(found)


def trajectories(
    tracklets: Sequence[Tracklet], links: Sequence[int | None], frames: int
) -> list[Path]:
    """Cut the trees that the links make into paths, so that each tracklet is on exactly one.

    Of the chains with the same first tracklet the best becomes a path, and its tracklets leave the
    others; what is left of them is treated in the same way.

    Args:
        tracklets: By start.
        links: The earlier tracklet that each one continues.
        frames: Number of frames of the video.
    """
    scale = distance_scale(tracklets)
    waiting = _by_first(chains(links))
    paths: list[Path] = []

    while waiting:
        cluster = waiting.pop()
        best = max(cluster, key=lambda chain: _goodness(tracklets, chain, frames, scale))
        paths.append(best)

        taken = set(best)
        rest = [
            tuple(member for member in chain if member not in taken)
            for chain in cluster
            if chain != best
        ]
        waiting += _by_first(rest)

    return sorted(paths)


def distance_scale(tracklets: Sequence[Tracklet]) -> float:
    """The largest distance between two tracklets' looks; 1 where there is none above 0.

    The release fails on one tracklet, whose largest distance there is not, and calls tracklets that
    look all the same unlike (0 / 0); with 1 they are alike.
    """
    if not tracklets:
        return 1.0

    appearances = np.array([one.appearance for one in tracklets])
    parts = range(0, len(appearances), ROWS)
    largest = max(
        float(cdist(appearances[first : first + ROWS], appearances).max()) for first in parts
    )

    return largest or 1.0


def importance(tracklets: Sequence[Tracklet], path: Path) -> float:
    """What a trajectory is ranked by: mean over its tracklets of their score times its length so
    far, in frames.
    """
    length = 0
    weights: list[float] = []
    for index in path:
        length += len(tracklets[index].masks)
        weights.append(tracklets[index].score * length)

    return float(np.mean(weights))


def _goodness(
    tracklets: Sequence[Tracklet], chain: Path, frames: int, scale: float
) -> tuple[float, int]:
    """How good a path a chain makes; of equal ones, the one that lasts longer."""
    members = [tracklets[index] for index in chain]
    coverage = (
        sum(one.end - one.start for one in members) / frames
    )  # one frame covers nothing, as in the release
    visual = 0.0
    if len(members) > 1:
        visual = 1 - float(pdist(np.array([one.appearance for one in members])).min()) / scale

    return COVERAGE * coverage + VISUAL * visual, members[-1].end


def _by_first(chains: Sequence[Path]) -> list[list[Path]]:
    """The chains, together with those that have the same first tracklet."""
    clusters: dict[int, list[Path]] = {}
    for chain in chains:
        clusters.setdefault(chain[0], []).append(chain)

    return list(clusters.values())
