"""Consensus: superpixels that look alike or lie on each other's way vote for one another, over a
whole video.

Motion shows an object where and when it moves; votes carry that to where it stands still, and
outvote what moves by chance. After Faktor and Irani, "Video segmentation by non-local consensus
voting", BMVC 2014.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from skimage.color import rgb2lab

from densevos.data.foreground.motion import STILL, Motion
from densevos.data.foreground.superpixels import superpixel_means, superpixels, touching

COUNT = 300
"""Superpixels of a frame."""
BINS = 8
"""Of each histogram."""
LAB_RANGES = ((0.0, 100.0), (-60.0, 60.0), (-60.0, 60.0))
"""What L, a and b are scaled by: 0..1 and -1..1."""
HISTOGRAM, POSITION = 0.35, 0.6
"""Weights of histograms and position beside mean colours."""
NEAREST = 12
"""How many nodes of the video each node asks for a vote."""
ALIKE, ADJACENT_ALIKE = 0.35, 0.15
"""Distances at which a vote is worth 1/e: of nodes in the whole space, of neighbours in mean
colour.
"""
ADJACENT_WEIGHT, FLOW_WEIGHT = 1.0, 0.5
LEAST_SHARE = 0.1
"""Of a superpixel's pixels that flow to one of the next frame: less is no vote."""
NEIGHBOURS_SHARE = 10.0
"""Votes of the neighbours against one's own motion, when that is fully trusted."""
LEAST_TRUST = 0.02
"""Of every frame's motion."""
ROUNDS = 100
MOTION_SHARE = 0.35
"""Of a frame's own motion, when that is fully trusted, in the probability; the rest is votes."""
LOW, HIGH = 1.0, 99.5
"""Percentiles of the votes of a video that become 0 and 1."""
THRESHOLD = 0.375
"""Votes above this are foreground; chosen on the DAVIS-2016 training sequences."""
BLOCK = 256
"""Nodes whose distances to all others are in memory at once."""


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The superpixels of one frame, as nodes of the graph of votes."""

    labels: np.ndarray
    """[H,W] int16: superpixel of each pixel."""
    features: np.ndarray
    """[N,D] float32: nodes that look alike are near each other."""
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
    """How superpixels of one frame flow to those of the next: `shares[k]` of node `start[k]` goes
    to `end[k]`.
    """

    start: np.ndarray
    end: np.ndarray
    shares: np.ndarray


def nodes(image: np.ndarray, motion: Motion, described: np.ndarray | None = None) -> Nodes:
    """The nodes of an RGB frame [H,W,3] uint8.

    described: Features [H,W,C] float32 of its pixels, to compare nodes by instead of their colours;
    of unit length.
    """
    labels = superpixels(image, COUNT)
    lab = np.stack(
        [
            channel / high
            for channel, (_, high) in zip(
                np.moveaxis(rgb2lab(image), 2, 0), LAB_RANGES, strict=True
            )
        ],
        2,
    )
    colours = superpixel_means(labels, lab)

    if described is None:
        looks = [colours, _spread(labels, lab, colours), HISTOGRAM * _histograms(labels, lab)]
    else:
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
    """From the superpixels [H,W] of a frame to those of the next, by the flow [H,W,2] between the
    two.
    """
    height, width = labels.shape
    rows, columns = np.mgrid[:height, :width]
    x, y = (np.rint(grid + flow[..., k]).astype(np.int64) for k, grid in enumerate((columns, rows)))
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)

    count = int(following.max()) + 1
    keys = labels[inside].astype(np.int64) * count + following[y[inside], x[inside]]
    pairs, pixels = np.unique(keys, return_counts=True)
    start, end = pairs // count, pairs % count
    shares = pixels / np.bincount(labels.ravel())[start]
    kept = shares >= LEAST_SHARE

    return Passage(start[kept], end[kept], shares[kept])


def consensus(frames: list[Nodes], passages: list[Passage | None]) -> list[np.ndarray]:
    """Foreground probability [H,W] float32 of each frame of one shot.

    passages: One for each frame but the last, to the frame after it; None where the flow is not
    known.

    It is a mean of votes, which are constant in a superpixel, and of the frame's own motion, as far
    as that is trusted. Where nothing moves against the scene in any frame, nothing is foreground.
    """
    if not frames or max(frame.motion.fastest for frame in frames) < STILL:
        return [np.zeros(frame.labels.shape, np.float32) for frame in frames]

    counts = [len(frame.features) for frame in frames]
    first = np.concatenate([[0], np.cumsum(counts)])
    moving = np.concatenate([frame.moving for frame in frames])
    trust = np.repeat([frame.motion.trust for frame in frames], counts)

    votes = settled(graph(frames, passages, first), moving, trust)
    low, high = np.percentile(votes, [LOW, HIGH])
    stretched = np.clip((votes - low) / max(high - low, 1e-9), 0, 1).astype(np.float32)
    return [
        _probability(stretched[start:][frame.labels], frame)
        for start, frame in zip(first[:-1], frames, strict=True)
    ]


def _probability(votes: np.ndarray, frame: Nodes) -> np.ndarray:
    share = MOTION_SHARE * frame.motion.trust
    mixed = (1 - share) * votes + share * frame.motion.map
    return np.interp(mixed, (0, THRESHOLD, 1), (0, 0.5, 1)).astype(np.float32)


def settled(matrix: sparse.csr_matrix, moving: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Votes [N] after `ROUNDS` of x <- (S M x + trust moving) / (S + trust), with S =
    NEIGHBOURS_SHARE.

    matrix: M, whose rows sum to 1. So each node takes the mean of its neighbours' votes and of its
    own motion, which weighs the more the more it is trusted: frames in which little moves do not
    vote against those in which much does.
    """
    weight = trust + LEAST_TRUST
    mean = (weight @ moving) / weight.sum()
    votes = trust * moving + (1 - trust) * mean  # Who knows nothing begins with the mean of all.

    for _ in range(ROUNDS):
        votes = (NEIGHBOURS_SHARE * (matrix @ votes) + weight * moving) / (
            NEIGHBOURS_SHARE + weight
        )

    return votes


def graph(
    frames: list[Nodes], passages: list[Passage | None], first: np.ndarray
) -> sparse.csr_matrix:
    """Who votes for whom, and how much: a matrix [N,N] whose rows sum to 1.

    Three kinds of votes are added: between nodes that look alike, anywhere in the video; between
    those that touch in a frame; and between those that flow to one another. `first[k]` is the first
    node of frame k.
    """
    total = int(first[-1])
    alike = look_alike(np.concatenate([frame.features for frame in frames]))

    colours = np.concatenate([frame.colours for frame in frames])
    pairs = np.concatenate(
        [frame.adjacent + start for frame, start in zip(frames, first[:-1], strict=True)]
    )
    distance = np.linalg.norm(colours[pairs[:, 0]] - colours[pairs[:, 1]], axis=1)
    adjacent = _symmetric(
        pairs[:, 0], pairs[:, 1], np.exp(-((distance / ADJACENT_ALIKE) ** 2)), total
    )

    known = [(index, one) for index, one in enumerate(passages) if one is not None]
    empty = np.zeros(0, np.int64)
    start = np.concatenate([empty, *(one.start + first[index] for index, one in known)])
    end = np.concatenate([empty, *(one.end + first[index + 1] for index, one in known)])
    flowing = _symmetric(
        start, end, np.concatenate([np.zeros(0), *(one.shares for _, one in known)]), total
    )

    votes = alike + ADJACENT_WEIGHT * adjacent + FLOW_WEIGHT * flowing
    sums = np.asarray(votes.sum(axis=1)).ravel()
    return sparse.csr_matrix(sparse.diags(1 / np.maximum(sums, 1e-12)) @ votes)


def look_alike(features: np.ndarray) -> sparse.csr_matrix:
    """exp(-(d / ALIKE)^2) between each node and the NEAREST most similar others, symmetric: [N,N].

    All distances are computed, block by block: in so many dimensions a search tree is slower.
    """
    total = len(features)
    wanted = min(NEAREST + 1, total)  # A node is the nearest to itself.
    squares = (features**2).sum(axis=1)
    nearest, distances = [], []

    for start in range(0, total, BLOCK):
        block = features[start : start + BLOCK]
        squared = squares[start : start + BLOCK, None] + squares - 2 * block @ features.T
        # A copy: a slice would keep the order of all nodes, for every block, in memory.
        found = np.argpartition(squared, wanted - 1, axis=1)[:, :wanted].copy()
        nearest.append(found)
        distances.append(np.take_along_axis(squared, found, axis=1))

    values = np.exp(-np.maximum(np.concatenate(distances), 0) / ALIKE**2).ravel()
    rows = np.repeat(np.arange(total), wanted)
    columns = np.concatenate(nearest).ravel()
    others = rows != columns
    one_way = sparse.csr_matrix((values[others], (rows[others], columns[others])), (total, total))

    return sparse.csr_matrix(one_way.maximum(one_way.T))


def _symmetric(
    start: np.ndarray, end: np.ndarray, values: np.ndarray, total: int
) -> sparse.csr_matrix:
    one_way = sparse.csr_matrix((values, (start, end)), (total, total))
    return sparse.csr_matrix(one_way + one_way.T)


def _spread(labels: np.ndarray, lab: np.ndarray, means: np.ndarray) -> np.ndarray:
    """Standard deviation of each channel, [N,3]."""
    return np.sqrt(np.maximum(superpixel_means(labels, lab**2) - means**2, 0))


def _histograms(labels: np.ndarray, lab: np.ndarray) -> np.ndarray:
    """Square roots of each channel's shares of BINS bins, [N,3*BINS]."""
    flat = labels.ravel()
    count = int(flat.max()) + 1
    shares = []

    for channel, (low, _) in zip(np.moveaxis(lab, 2, 0), LAB_RANGES, strict=True):
        least = -1.0 if low < 0 else 0.0
        bins = np.clip((channel.ravel() - least) / (1 - least) * BINS, 0, BINS - 1).astype(np.int64)
        counted = np.bincount(flat * BINS + bins, minlength=count * BINS).reshape(count, BINS)
        shares.append(counted / counted.sum(axis=1, keepdims=True))

    return np.sqrt(np.concatenate(shares, axis=1))


def _positions(labels: np.ndarray) -> np.ndarray:
    """Mean x and y of each superpixel, as shares of width and height, [N,2]."""
    height, width = labels.shape
    y, x = np.mgrid[:height, :width]
    return superpixel_means(labels, np.stack([x / width, y / height], axis=2))
