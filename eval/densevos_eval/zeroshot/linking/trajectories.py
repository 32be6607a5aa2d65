"""Trajectories of UnOVOST: joins tracklets of one object across gaps in which it is hidden.

Tracklets link back to earlier ones, which makes trees. Every tree is cut into paths, the best first
(the paper's forest path cutting). A tracklet is identified by its index.
"""

# Shapes: N tracklets, K candidates that a tracklet may continue, D channels of an embedding.

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist, pdist

from densevos_eval.zeroshot.linking.tracklets import Tracklet

# Weights of length and of similar appearance when the best path of a tree is chosen.
COVERAGE = 0.9
VISUAL = 0.1

NONE = -1  # Stands for "no tracklet" in arrays of indices.
ROWS = 256  # Number of rows of the matrix of distances that are in memory at once.

Path = tuple[int, ...]


def merge_links(tracklets: Sequence[Tracklet]) -> list[int | None]:
    """Link each tracklet to the earlier one that it continues.

    Candidates are the tracklets that have ended before it starts. The most similar one is chosen,
    with one exception: if the second most similar already continues the most similar, the second is
    preferred. The search then goes on among the second and those that continue it, down to the end
    of the chain. (The released program stops after one step: a comparison of times is the wrong way
    round, so that no candidates are left.)

    Args:
        tracklets: by start.

    Returns:
        Index of the continued tracklet for each tracklet, or None.
    """
    starts = np.array([tracklet.start for tracklet in tracklets])
    ends = np.array([tracklet.end for tracklet in tracklets])
    appearances = np.array([tracklet.appearance for tracklet in tracklets])

    # In the order of starts: the links of all candidates are known when they are looked up.
    links = np.full(len(tracklets), NONE)
    for index in range(len(tracklets)):
        ended = np.flatnonzero(ends < starts[index])
        if len(ended):
            distances = cdist(appearances[index][None], appearances[ended])[0]
            links[index] = _parent(ended, distances, links)

    return [None if link == NONE else link for link in links.tolist()]


def _parent(ended: np.ndarray, distances: np.ndarray, links: np.ndarray) -> int:
    """Which candidate a tracklet continues: of indices [K], ascending, with their distances [K]."""
    among = np.arange(len(ended))
    while True:
        two_nearest = among[np.argsort(distances[among], kind="stable")[:2]]
        candidates = ended[two_nearest].tolist()
        nearest = candidates[0]
        if len(candidates) == 1 or links[candidates[1]] != nearest:
            return int(nearest)

        second = candidates[1]
        among = np.flatnonzero((ended == second) | (links[ended] == second))


def chains(links: Sequence[int | None]) -> list[Path]:
    """Find the chain of links from a root to every tracklet that none continues.

    Args:
        links: index of the tracklet that each one continues, or None.

    Returns:
        The chains, sorted. Chains of one tree share their first tracklets.
    """
    visited: set[int] = set()
    paths: list[Path] = []
    # Links point to earlier tracklets, so a tracklet that was not visited yet is not continued.
    for tail in reversed(range(len(links))):
        if tail in visited:
            continue

        chain: list[int] = []
        member: int | None = tail
        while member is not None:
            chain.append(member)
            member = links[member]

        visited.update(chain)
        paths.append(tuple(reversed(chain)))

    return sorted(paths)


def trajectories(
    tracklets: Sequence[Tracklet], links: Sequence[int | None], frames: int
) -> list[Path]:
    """Cut the trees of links into paths, so that each tracklet is on exactly one path.

    Of the chains with the same first tracklet the best becomes a path, and its tracklets are
    removed from the others. The remains of these are treated in the same way.

    Args:
        tracklets: by start.
        links: index of the earlier tracklet that each one continues, or None.
        frames: number of frames of the video.

    Returns:
        The paths, sorted.
    """
    scale = distance_scale(tracklets)
    waiting = _by_first(chains(links))
    paths: list[Path] = []

    while waiting:
        cluster = waiting.pop()
        # All chains of a cluster share their first tracklet, so each round removes at least one.
        best = max(cluster, key=lambda chain: _goodness(tracklets, chain, frames, scale))
        paths.append(best)

        taken = set(best)
        remains: list[Path] = []
        for chain in cluster:
            if chain != best:
                remains.append(tuple(member for member in chain if member not in taken))

        waiting += _by_first(remains)

    return sorted(paths)


def distance_scale(tracklets: Sequence[Tracklet]) -> float:
    """Compute the largest distance between the appearances of two tracklets; 1 if it is 0.

    The released program fails on a single tracklet, which has no distances, and treats tracklets
    with equal appearances as dissimilar (0 / 0). A scale of 1 makes them similar.

    Args:
        tracklets: all tracklets of a video.
    """
    if not tracklets:
        return 1.0

    # In blocks of rows: the whole matrix of a long video could exceed the memory.
    appearances = np.array([tracklet.appearance for tracklet in tracklets])
    largest = 0.0
    for first in range(0, len(appearances), ROWS):
        distances = cdist(appearances[first : first + ROWS], appearances)
        largest = max(largest, float(distances.max()))

    return largest or 1.0


def importance(tracklets: Sequence[Tracklet], path: Path) -> float:
    """Compute the rank of a trajectory: the mean over its tracklets of score times length so far.

    Args:
        tracklets: all tracklets of a video.
        path: the trajectory's indices among them.

    Returns:
        The importance; lengths are in frames, and sum over the tracklets up to each one.
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
    """How good a path a chain makes; of equal chains, the one that ends later is better."""
    members = [tracklets[index] for index in chain]
    # A tracklet of one frame covers nothing, as in the released program.
    coverage = sum(member.end - member.start for member in members) / frames
    visual = 0.0
    if len(members) > 1:
        appearances = np.array([member.appearance for member in members])
        # The two most similar tracklets of the chain decide.
        visual = 1 - float(pdist(appearances).min()) / scale

    return COVERAGE * coverage + VISUAL * visual, members[-1].end


def _by_first(chains: Sequence[Path]) -> list[list[Path]]:
    """Group the chains by their first tracklet."""
    clusters: dict[int, list[Path]] = {}
    for chain in chains:
        clusters.setdefault(chain[0], []).append(chain)

    return list(clusters.values())
