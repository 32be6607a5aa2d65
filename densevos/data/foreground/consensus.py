"""Consensus: superpixels of a whole video vote for those that look alike or lie on their way.

Motion shows an object where and when it moves. Votes carry that to where it stands still, and
outvote what moves by chance. After Faktor and Irani, "Video segmentation by non-local consensus
voting", BMVC 2014.
"""

# Shapes: H x W pixels of a frame, N superpixels (nodes) of a frame or of the whole video, D numbers
# that describe a node, C channels of a pixel.

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from skimage.color import rgb2lab

from densevos.data.foreground.motion import STILL, Motion
from densevos.data.foreground.superpixels import superpixel_means, superpixels, touching

COUNT = 300
"""Approximate number of superpixels of a frame."""
BINS = 8
"""Bins of each histogram."""
LAB_RANGES = ((0.0, 100.0), (-60.0, 60.0), (-60.0, 60.0))
"""Ranges of L, a and b, which are scaled to 0..1, -1..1 and -1..1."""
HISTOGRAM, POSITION = 0.35, 0.6
"""Weights of the histograms and of the position; mean and spread of the colours have weight 1."""
NEAREST = 12
"""Number of the most similar nodes that each node exchanges votes with."""
ALIKE, ADJACENT_ALIKE = 0.35, 0.15
"""Distances at which a vote is worth 1/e: between features of any two nodes, and between mean
colours of neighbours.
"""
ADJACENT_WEIGHT, FLOW_WEIGHT = 1.0, 0.5
"""Weights of the votes of neighbours and along the flow; votes of similar nodes have weight 1."""
LEAST_SHARE = 0.1
"""Smallest share of a superpixel's pixels that must flow to another one for a vote."""
NEIGHBOURS_SHARE = 10.0
"""Weight of the neighbours' votes, relative to a node's own motion that is fully trusted."""
LEAST_TRUST = 0.02
"""Trust that is added to that of every frame's motion."""
ROUNDS = 100
"""Rounds of voting."""
MOTION_SHARE = 0.35
"""Share of a fully trusted frame's own motion in the probability; votes are the remainder."""
LOW, HIGH = 1.0, 99.5
"""Percentiles of a shot's votes that are mapped to 0 and 1."""
THRESHOLD = 0.375
"""Votes above this are foreground; chosen on the DAVIS-2016 training sequences."""
BLOCK = 256
"""Number of nodes whose distances to all others are in memory at once."""


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The superpixels of one frame, as nodes of the graph of votes."""

    labels: np.ndarray
    """[H,W] int16: superpixel of each pixel."""
    features: np.ndarray
    """[N,D] float32: similar nodes are near each other."""
    colours: np.ndarray
    """[N,3] float32: mean L, a and b, scaled."""
    adjacent: np.ndarray
    """[pairs,2]: nodes that touch."""
    motion: Motion
    """What moves by itself in the frame."""
    moving: np.ndarray
    """[N] float32 in 0..1: mean of the motion map."""


@dataclass(frozen=True)
class Passage:
    """How superpixels of one frame flow to those of the next frame, pair by pair."""

    start: np.ndarray
    """[pairs]: superpixel of the first frame."""
    end: np.ndarray
    """[pairs]: superpixel of the next frame."""
    shares: np.ndarray
    """[pairs]: share of the pixels of `start` that flow to `end`."""


def nodes(image: np.ndarray, motion: Motion, described: np.ndarray | None = None) -> Nodes:
    """The superpixels of a frame, with all that votes depend on.

    Args:
        image: [H,W,3] uint8 RGB.
        motion: What moves by itself in the frame.
        described: Features [H,W,C] float32 of unit length of the pixels; nodes are compared by
            them instead of by colours.
    """
    labels = superpixels(image, COUNT)

    # Distances add up all channels, so these need one scale.
    scaled = []
    for channel, (_, high) in zip(np.moveaxis(rgb2lab(image), 2, 0), LAB_RANGES, strict=True):
        scaled.append(channel / high)

    # [H,W,3]; what follows has one row per superpixel, [N,...].
    lab = np.stack(scaled, 2)
    colours = superpixel_means(labels, lab)

    if described is None:
        looks = [colours, _spread(labels, lab, colours), HISTOGRAM * _histograms(labels, lab)]
    else:
        # A mean of unit vectors is shorter than one.
        means = superpixel_means(labels, described)
        looks = [means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-6)]

    return Nodes(
        labels=labels.astype(np.int16),
        features=np.concatenate([*looks, POSITION * _positions(labels)], axis=1).astype(np.float32),
        colours=colours.astype(np.float32),
        adjacent=touching(labels),
        motion=motion,
        moving=superpixel_means(labels, motion.map[..., None])[:, 0].astype(np.float32),
    )


def passage(labels: np.ndarray, following: np.ndarray, flow: np.ndarray) -> Passage:
    """How the superpixels of a frame flow to those of the next frame.

    Args:
        labels: Superpixels [H,W] of the frame.
        following: Superpixels [H,W] of the next frame.
        flow: Flow [H,W,2] from the frame to the next one, pixels.
    """
    height, width = labels.shape
    # Where each pixel goes, rounded to a pixel; those that leave the frame vote for nothing.
    rows, columns = np.mgrid[:height, :width]
    x = np.rint(columns + flow[..., 0]).astype(np.int64)
    y = np.rint(rows + flow[..., 1]).astype(np.int64)
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)

    # A pair of superpixels as one integer, so that pairs can be counted.
    count = int(following.max()) + 1
    keys = labels[inside].astype(np.int64) * count + following[y[inside], x[inside]]
    pairs, pixels = np.unique(keys, return_counts=True)
    start, end = pairs // count, pairs % count
    shares = pixels / np.bincount(labels.ravel())[start]

    # Small shares come from inexact outlines.
    kept = shares >= LEAST_SHARE
    return Passage(start[kept], end[kept], shares[kept])


def consensus(frames: list[Nodes], passages: list[Passage | None]) -> list[np.ndarray]:
    """Foreground probability of each frame of one shot.

    It is a weighted mean of the votes, which are constant in a superpixel, and of the frame's own
    motion, which weighs more the more it is trusted. If nothing moves against the scene in any
    frame, nothing is foreground.

    Args:
        frames: The superpixels of each frame.
        passages: For each frame but the last, how it flows to the next; None if that is unknown.

    Returns:
        One [H,W] float32 in 0..1 for each frame.
    """
    if not frames or max(frame.motion.fastest for frame in frames) < STILL:
        return [np.zeros(frame.labels.shape, np.float32) for frame in frames]

    # Nodes of all frames are numbered through: `first[k]` is the first node of frame k.
    counts = [len(frame.features) for frame in frames]
    first = np.concatenate([[0], np.cumsum(counts)])
    moving = np.concatenate([frame.moving for frame in frames])
    trust = np.repeat([frame.motion.trust for frame in frames], counts)

    # All frames of the shot vote together, [N] for the nodes of the whole shot.
    votes = settled(graph(frames, passages, first), moving, trust)

    # Many rounds of voting leave a narrow range.
    # Percentiles, as single extreme nodes would set the range otherwise.
    low, high = np.percentile(votes, [LOW, HIGH])
    stretched = np.clip((votes - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)

    maps = []
    for start, frame in zip(first[:-1], frames, strict=True):
        maps.append(_probability(stretched[start:][frame.labels], frame))

    return maps


def _probability(votes: np.ndarray, frame: Nodes) -> np.ndarray:
    """Mix the votes [H,W] of a frame with its own motion."""
    # Motion that is not trusted leaves the votes as they are.
    share = MOTION_SHARE * frame.motion.trust
    mixed = (1 - share) * votes + share * frame.motion.map
    # The threshold becomes 0.5, where `to_map` divides foreground from background.
    return np.interp(mixed, (0, THRESHOLD, 1), (0, 0.5, 1)).astype(np.float32)


def settled(matrix: sparse.csr_matrix, moving: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Votes of the nodes after ROUNDS rounds of x <- (S M x + t m) / (S + t).

    S is NEIGHBOURS_SHARE and t the trust plus LEAST_TRUST. Each node takes the weighted mean of its
    neighbours' votes and of its own motion, which weighs more the more it is trusted. So frames in
    which little moves do not vote against frames in which much moves.

    Args:
        matrix: M, [N,N], whose rows sum to 1.
        moving: m, [N] in 0..1: the mean motion of each node.
        trust: [N] in 0..1: the trust in the motion of each node's frame.

    Returns:
        [N] in 0..1.
    """
    weight = trust + LEAST_TRUST
    mean = (weight @ moving) / weight.sum()
    # A node without trusted motion starts from the mean of all.
    votes: np.ndarray = trust * moving + (1 - trust) * mean

    for _ in range(ROUNDS):
        votes = (NEIGHBOURS_SHARE * (matrix @ votes) + weight * moving) / (
            NEIGHBOURS_SHARE + weight
        )

    return votes


def graph(
    frames: list[Nodes], passages: list[Passage | None], first: np.ndarray
) -> sparse.csr_matrix:
    """The weights of the votes between all nodes of a shot.

    Three kinds of votes are added: between nodes that look alike, anywhere in the shot; between
    nodes that touch in a frame; and between nodes that flow to one another.

    Args:
        frames: The superpixels of each frame.
        passages: For each frame but the last, how it flows to the next; None if that is unknown.
        first: `first[k]` is the number of the first node of frame k; the last entry is N.

    Returns:
        A sparse matrix [N,N] whose rows sum to 1.
    """
    total = int(first[-1])
    alike = look_alike(np.concatenate([frame.features for frame in frames]))

    # Neighbours vote for each other unless an edge of colour divides them.
    colours = np.concatenate([frame.colours for frame in frames])
    pairs = np.concatenate(
        [frame.adjacent + start for frame, start in zip(frames, first[:-1], strict=True)]
    )
    distance = np.linalg.norm(colours[pairs[:, 0]] - colours[pairs[:, 1]], axis=1)
    adjacent = _symmetric(
        pairs[:, 0], pairs[:, 1], np.exp(-((distance / ADJACENT_ALIKE) ** 2)), total
    )

    # The empty arrays serve a shot without any flow.
    starts: list[np.ndarray] = [np.zeros(0, np.int64)]
    ends: list[np.ndarray] = [np.zeros(0, np.int64)]
    shares: list[np.ndarray] = [np.zeros(0)]
    for index, between in enumerate(passages):
        if between is not None:
            starts.append(between.start + first[index])
            ends.append(between.end + first[index + 1])
            shares.append(between.shares)

    flowing = _symmetric(
        np.concatenate(starts), np.concatenate(ends), np.concatenate(shares), total
    )

    votes = alike + ADJACENT_WEIGHT * adjacent + FLOW_WEIGHT * flowing
    # Rows that sum to 1 make each round of voting a weighted mean.
    sums = np.asarray(votes.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(sums, 1e-12)) @ votes)


def look_alike(features: np.ndarray) -> sparse.csr_matrix:
    """Votes exp(-(d / ALIKE)^2) between each node and the NEAREST most similar others.

    All distances are computed, block by block: in so many dimensions a search tree is slower.

    Args:
        features: [N,D] float32.

    Returns:
        A symmetric sparse matrix [N,N] without diagonal.
    """
    total = len(features)
    wanted = min(NEAREST + 1, total)  # A node is the nearest to itself.
    squares = (features**2).sum(axis=1)
    nearest, distances = [], []

    for start in range(0, total, BLOCK):
        block = features[start : start + BLOCK]
        # |a - b|^2 = |a|^2 + |b|^2 - 2 a.b
        squared = squares[start : start + BLOCK, None] + squares - 2 * block @ features.T
        # A copy: a slice would keep the order of all nodes, for every block, in memory.
        indices = np.argpartition(squared, wanted - 1, axis=1)[:, :wanted].copy()
        nearest.append(indices)
        distances.append(np.take_along_axis(squared, indices, axis=1))

    # Rounding can make the square of a small distance negative.
    values = np.exp(-np.maximum(np.concatenate(distances), 0) / ALIKE**2).ravel()
    rows = np.repeat(np.arange(total), wanted)
    columns = np.concatenate(nearest).ravel()
    others = rows != columns
    one_way = sparse.csr_matrix((values[others], (rows[others], columns[others])), (total, total))

    # A node may be among the nearest of another without the reverse.
    return sparse.csr_matrix(one_way.maximum(one_way.T))


def _symmetric(
    start: np.ndarray, end: np.ndarray, values: np.ndarray, total: int
) -> sparse.csr_matrix:
    """The matrix [total,total] with the values at (start, end) and at (end, start)."""
    one_way = sparse.csr_matrix((values, (start, end)), (total, total))
    return sparse.csr_matrix(one_way + one_way.T)


def _spread(labels: np.ndarray, lab: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Standard deviation of each channel, [N,3]."""
    # Rounding can make a small variance negative.
    deviation: np.ndarray = np.sqrt(np.maximum(superpixel_means(labels, lab**2) - means**2, 0))
    return deviation


def _histograms(labels: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Square roots of each channel's histogram, whose bins sum to 1: [N,3*BINS].

    The distance between such roots is the Hellinger distance of the histograms, times a constant.
    """
    flat = labels.ravel()
    count = int(flat.max()) + 1
    shares = []

    for channel, (low, _) in zip(np.moveaxis(lab, 2, 0), LAB_RANGES, strict=True):
        least = -1.0 if low < 0 else 0.0
        # Superpixel and bin as one integer, so that one call counts all histograms.
        bins = np.clip((channel.ravel() - least) / (1 - least) * BINS, 0, BINS - 1).astype(np.int64)
        counted = np.bincount(flat * BINS + bins, minlength=count * BINS).reshape(count, BINS)
        shares.append(counted / counted.sum(axis=1, keepdims=True))

    histograms: np.ndarray = np.sqrt(np.concatenate(shares, axis=1))
    return histograms


def _positions(labels: np.ndarray) -> np.ndarray:
    """Mean x and y of each superpixel, as shares of width and height, [N,2]."""
    height, width = labels.shape
    y, x = np.mgrid[:height, :width]
    return superpixel_means(labels, np.stack([x / width, y / height], axis=2))
