"""Temporal stability T: how much the outline of an object changes from one frame to the next,
beyond moving.

Two successive outlines become polygons, every point of a polygon is described by the shape context
of the others, and the cost of the cheapest monotone alignment of the two is the instability: 0 for
a mask that only moves. Source: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for
Video Object Segmentation, CVPR 2016, section 4; shape context and its cost: Belongie et al., Shape
Matching and Object Recognition Using Shape Contexts, PAMI 2002.

The steps are those of the DAVIS-2016 toolbox, number for number. One case is known to differ: where
an outline touches itself at a corner of pixels (a checkerboard), this module always separates the
two pixels, while the toolbox cuts the loop at that corner and starts there.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

SCALE = 5.0  # the toolbox's factor between the mean alignment cost and the published T
TOLERANCE = 3  # of the polygons, in half pixels
SPACING = np.float32(3)  # longest segment of the resampled polygon, in pixels
ANGLES, RINGS = 12, 5
TINY = 2.2e-16


def temporal_stability(masks: np.ndarray) -> np.ndarray:
    """Instability of each pair of successive masks [frames,H,W] bool: T [frames-1] float64, lower
    is better.

    NaN where one of the two masks has no polygon (it is empty, or nothing in it is larger than 2x2
    pixels). The annotation plays no part: T is asked of the predictions.
    """
    return stability([resampled(polygon(mask)) for mask in masks])


def stability(outlines: list[np.ndarray]) -> np.ndarray:
    """The same from the resampled polygons of the masks, which take far less memory."""
    return np.array([instability(a, b) for a, b in pairwise(outlines)], dtype=np.float64)


def instability(first: np.ndarray, second: np.ndarray) -> float:
    """Five times the mean cost of aligning two outlines [n,2] and [m,2]; NaN where one has no
    points.
    """
    if len(first) == 0 or len(second) == 0:
        return float("nan")

    cost = matching_cost(shape_context(first), shape_context(second))
    return SCALE * float(np.mean([cost[i, k] for i, k in alignment(cost)]))


def polygon(mask: np.ndarray) -> np.ndarray:
    """The simplified outline with the most vertices of a mask [H,W] bool: points (x, y) [n,2] in
    pixels, int64.

    First and last point are the same; [0,2] where nothing is larger than 2x2 pixels.
    """
    best = np.empty((0, 2), np.int64)
    for loop in outlines(mask):
        simple = simplified(2 * loop) // 2
        if len(simple) > 3 and len(simple) >= len(best):
            best = simple[::-1]

    return best


def outlines(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Corners (x, y) [n,2] of each closed outline of the mask [H,W] bool, holes included, in scan
    order.

    Each begins and ends in its first corner in row-major order and goes down from there; pixels
    that touch at a corner only are apart.
    """
    padded = np.pad(mask, 1).astype(bool)
    north_west, north_east, south_west, south_east = (
        padded[:-1, :-1],
        padded[:-1, 1:],
        padded[1:, :-1],
        padded[1:, 1:],
    )
    touching = (north_west == south_east) & (north_east == south_west) & (north_west != north_east)
    rows, columns = np.nonzero(touching | (north_west ^ north_east ^ south_west ^ south_east))
    count = 1 + touching[rows, columns]
    copy = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    rows, columns = np.repeat(rows, count), np.repeat(columns, count)
    # Along each row of the lattice corners 0 and 1, 2 and 3, ... bound a straight piece, and so
    # along each column. Where two pixels touch there are two corners: copy 0 ends the piece from
    # the west, copy 1 begins the one to the east.
    order = np.lexsort((copy ^ north_east[rows, columns], rows, columns))
    below = np.empty_like(order)
    below[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    for loop in _cycles(below.tolist()):
        yield np.stack([columns[loop], rows[loop]], axis=1)


def _cycles(below: list[int]) -> Iterator[list[int]]:
    """Closed walks that alternate between the partner in the column, below[i], and that in the row,
    i ^ 1.
    """
    seen = bytearray(len(below))
    for start in range(len(below)):
        loop = []
        corner = start
        while not seen[corner]:
            partner = below[corner]
            seen[corner] = seen[partner] = 1
            loop += [corner, partner]
            corner = partner ^ 1

        if loop:
            yield [*loop, start]


def simplified(points: np.ndarray) -> np.ndarray:
    """The polyline [n,2] int64 (in half pixels) without vertices that matter less than TOLERANCE.

    First every point nearer than that to the last one kept goes, then Douglas and Peucker's
    algorithm with the distance to the segment. (The toolbox runs both with a tolerance of .1
    before: that leaves exactly the corners.)
    """
    points = points[_spaced(points.tolist())]
    kept, open_parts = {0, len(points) - 1}, [(0, len(points) - 1)]
    while open_parts:
        first, last = open_parts.pop()
        if last - first < 2:
            continue

        distance = _squared_distance(points[first + 1 : last], points[first], points[last])
        farthest = len(distance) - 1 - int(distance[::-1].argmax())  # the last one of equals
        if distance[farthest] > TOLERANCE**2:
            middle = first + 1 + farthest
            kept.add(middle)
            open_parts += [(first, middle), (middle, last)]

    return points[sorted(kept)]


def _spaced(points: list[list[int]]) -> list[int]:
    """Indices of the first and last point and of those in between at least TOLERANCE from the last
    one kept.
    """
    kept = [0]
    x, y = points[0]
    for i, (u, v) in enumerate(points[1:-1], 1):
        if (u - x) ** 2 + (v - y) ** 2 >= TOLERANCE**2:
            kept.append(i)
            x, y = u, v

    return [*kept, len(points) - 1]


def _squared_distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Squared distance [n] of the points [n,2] to the segment between two points [2]."""
    segment = end - start
    along, length = (points - start) @ segment, segment @ segment
    fraction = (along.astype(np.float32) / np.float32(max(length, 1))).clip(0, 1)
    return ((points - start - fraction[:, None] * segment.astype(np.float64)) ** 2).sum(1)


def resampled(points: np.ndarray) -> np.ndarray:
    """The polygon [n,2] with every segment longer than SPACING cut in equal parts: [m,2]
    float32.
    """
    if len(points) == 0:
        return points.astype(np.float32)

    steps = np.diff(points.astype(np.float32), axis=0)
    parts = np.ceil(np.hypot(*steps.T) / SPACING).astype(int).clip(1)
    pieces = [
        # Summed up in single precision, as the toolbox does: the rounding decides which bin a point
        # falls into.
        np.cumsum(
            np.vstack([start, np.tile(step / np.float32(n), (n - 1, 1))]), axis=0, dtype=np.float32
        )
        for start, step, n in zip(points.astype(np.float32), steps, parts.tolist(), strict=False)
    ]

    return np.vstack([*pieces, points[-1:].astype(np.float32)])


def shape_context(points: np.ndarray) -> np.ndarray:
    """Histogram of the other points' distance and direction for every point [n,2]: [n,RINGS*ANGLES]
    float64, sums to 1.

    Distances are relative to the mean of all; rings reach from 1/8 to 2 of it in equal ratios;
    directions are those of the image. A point counts in its own histogram.
    """
    offset = (
        points[None, :].astype(np.float64) - points[:, None]
    )  # [n,n,2]: from point i to point j
    distance = np.hypot(offset[..., 0], offset[..., 1])
    distance /= distance.mean() or 1.0
    edges = np.logspace(np.log10(1 / 8), np.log10(2), RINGS)
    ring = RINGS - np.searchsorted(
        edges, distance, side="right"
    )  # how many edges are larger; 0: too far to count
    angle = np.arctan2(offset[..., 1], offset[..., 0]) % (2 * np.pi)
    sector = np.floor(angle / (2 * np.pi / ANGLES)).astype(int).clip(max=ANGLES - 1)
    cell = np.arange(len(points))[:, None] * (RINGS + 1) * ANGLES + ring * ANGLES + sector
    counts = np.bincount(cell.ravel(), minlength=len(points) * (RINGS + 1) * ANGLES)
    counts = counts.reshape(len(points), RINGS + 1, ANGLES)[:, 1:].reshape(len(points), -1)

    return counts / (counts.sum(axis=1, keepdims=True) + TINY)


def matching_cost(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Chi-squared distance of all pairs of histograms [n,bins] and [m,bins]: [n,m]."""
    cost = np.zeros((len(first), len(second)))
    for a, b in zip(
        first.T, second.T, strict=True
    ):  # bin by bin: [n,m,bins] would not fit into the cache
        total = np.add.outer(a, b)
        cost += np.subtract.outer(a, b) ** 2 / (total + TINY)

    return cost / 2


def alignment(cost: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of points of two closed outlines, monotone and one-to-one, from the costs [n,m] of all
    pairs.

    A first path, from where both polygons begin, only finds the cheapest pair of it; the final one
    ends there.
    """
    path = cheapest_path(cost)
    cheapest = path[-1]
    for cell in reversed(path[1:]):
        if cost[cell] < cost[cheapest]:
            cheapest = cell

    turned = np.roll(cost, (-cheapest[0] - 1, -cheapest[1] - 1), axis=(0, 1))
    pairs = cheapest_path(turned)
    shift = cheapest[0] + 1, cheapest[1] + 1
    back = [((i + shift[0]) % cost.shape[0], (k + shift[1]) % cost.shape[1]) for i, k in pairs]

    return _cheapest_of_each(_cheapest_of_each(back, cost, 0), cost, 1)


def _cheapest_of_each(
    pairs: list[tuple[int, int]], cost: np.ndarray, side: int
) -> list[tuple[int, int]]:
    """For every index that occurs on the side, the first of its cheapest pairs."""
    best: dict[int, tuple[int, int]] = {}
    for pair in pairs:
        known = best.setdefault(pair[side], pair)
        if cost[pair] < cost[known]:
            best[pair[side]] = pair

    return list(best.values())


def cheapest_path(cost: np.ndarray) -> list[tuple[int, int]]:
    """Cells from (0, 0) to the last of [n,m], each one step down, right or both after the one
    before.

    Its cost is the sum over its cells without the first; of equal ways the diagonal one is taken.
    """
    total = _path_costs(cost)
    i, k = cost.shape[0] - 1, cost.shape[1] - 1
    path = [(i, k)]

    while i or k:
        steps = [(i - 1, k - 1), (i - 1, k), (i, k - 1)]
        i, k = min((cell for cell in steps if min(cell) >= 0), key=total.__getitem__)
        path.append((i, k))

    return path[::-1]


def _path_costs(cost: np.ndarray) -> np.ndarray:
    """Cost of the cheapest path from (0, 0) to every cell of [n,m], the first cell free."""
    n, m = cost.shape
    # Antidiagonals are rows of the skewed matrix: cell (i, k) lies at [i + k, i].
    i, k = np.indices(cost.shape)
    skewed = np.full((n + m - 1, n), np.inf)
    skewed[i + k, i] = cost
    skewed[0, 0] = 0
    total = np.full((n + m + 1, n + 1), np.inf)  # one column and two rows of infinity before
    total[2, 1] = 0
    for d in range(1, n + m - 1):
        right, down, both = total[d + 1, 1:], total[d + 1, :-1], total[d, :-1]
        total[d + 2, 1:] = skewed[d] + np.minimum(np.minimum(right, down), both)

    return total[i + k + 2, i + 1]
