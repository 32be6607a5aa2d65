"""Temporal stability T: how much the shape of an outline changes from one frame to the next.

Two successive outlines become polygons. The shape context of a point describes where the other
points of its polygon lie. The instability is the cost of the cheapest monotone alignment of the two
polygons; it is 0 for a mask that only moves.

Sources: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation, CVPR 2016, section 4; for shape context and its cost Belongie et al., Shape Matching
and Object Recognition Using Shape Contexts, PAMI 2002.

The steps and numbers are those of the DAVIS-2016 toolbox. One case is known to differ: if an
outline touches itself at a corner of pixels (a checkerboard), this module always separates the two
pixels, while the toolbox cuts the loop at that corner and starts there.

Shapes: H x W pixels; n and m points (x, y) of two polygons; RINGS*ANGLES bins of a shape context.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

SCALE = 5.0  # The toolbox's factor between the mean alignment cost and the published T.
TOLERANCE = 3  # Tolerance of simplified polygons, in half pixels.
SPACING = np.float32(3)  # Longest segment of a resampled polygon, in pixels.
ANGLES, RINGS = 12, 5  # Bins of a shape context.
TINY = 2.2e-16  # Keeps divisions finite.


def temporal_stability(masks: np.ndarray) -> np.ndarray:
    """Instability of each pair of successive masks; lower is better.

    T measures predictions alone and needs no annotations.

    Args:
        masks: [frames,H,W] bool.

    Returns:
        T [frames-1] float64; NaN if one of the two masks has no polygon, because it is empty or
            nothing in it is larger than 2x2 pixels.
    """
    return stability([resampled(polygon(mask)) for mask in masks])


def stability(outlines: list[np.ndarray]) -> np.ndarray:
    """Temporal stability T [frames-1] from the resampled polygons of the masks.

    The polygons of a sequence take far less memory than its masks.
    """
    return np.array([instability(a, b) for a, b in pairwise(outlines)], dtype=np.float64)


def instability(first: np.ndarray, second: np.ndarray) -> float:
    """Five times the mean cost of aligning two outlines.

    Args:
        first: Points [n,2] of the one resampled polygon.
        second: Points [m,2] of the other.

    Returns:
        The instability; NaN if one of them has no points.
    """
    if len(first) == 0 or len(second) == 0:
        return float("nan")

    cost = matching_cost(shape_context(first), shape_context(second))
    return SCALE * float(np.mean([cost[i, k] for i, k in alignment(cost)]))


def polygon(mask: np.ndarray) -> np.ndarray:
    """The simplified outline with the most vertices.

    Args:
        mask: [H,W] bool.

    Returns:
        Points (x, y) [n,2] int64 in pixels, of which the first and the last are the same; [0,2] if
            nothing in the mask is larger than 2x2 pixels.
    """
    best = np.empty((0, 2), np.int64)
    for loop in outlines(mask):
        # Lengths are compared in half pixels, so that the tolerance is a whole number.
        simple = simplified(2 * loop) // 2
        # Of outlines with equally many vertices the last one counts.
        # A loop repeats its first point, so more than 3 points are at least a triangle.
        if len(simple) > 3 and len(simple) >= len(best):
            best = simple[::-1]

    return best


def outlines(mask: np.ndarray) -> Iterator[np.ndarray]:
    """Find each closed outline of a mask, holes included, in scan order.

    Pixels that touch only at a corner are separate.

    Args:
        mask: [H,W] bool.

    Yields:
        Corners (x, y) [n,2] of one outline. It starts and ends at its first corner in row-major
            order, and goes down from there.
    """
    # The four pixels around each lattice point, [H+1,W+1] each; outside the mask is background.
    padded = np.pad(mask, 1).astype(bool)
    north_west, north_east = padded[:-1, :-1], padded[:-1, 1:]
    south_west, south_east = padded[1:, :-1], padded[1:, 1:]

    # A lattice point is a corner if one or three of the pixels around it are set, and two corners
    # in one place if two diagonal ones are.
    touching = (north_west == south_east) & (north_east == south_west) & (north_west != north_east)
    rows, columns = np.nonzero(touching | (north_west ^ north_east ^ south_west ^ south_east))
    count = 1 + touching[rows, columns]
    # 0 for the first corner in a place, 1 for the second one.
    copy = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    rows, columns = np.repeat(rows, count), np.repeat(columns, count)

    # Along each row of the lattice, corners 0 and 1, 2 and 3, ... bound a straight piece; the same
    # holds along each column. Where two pixels touch, copy 0 ends the piece from the west, and copy
    # 1 starts the piece to the east.
    order = np.lexsort((copy ^ north_east[rows, columns], rows, columns))
    below = np.empty_like(order)
    # Neighbours in this order are the two ends of a vertical piece: each is below the other.
    below[order] = order.reshape(-1, 2)[:, ::-1].ravel()
    for loop in _cycles(below.tolist()):
        yield np.stack([columns[loop], rows[loop]], axis=1)


def _cycles(below: list[int]) -> Iterator[list[int]]:
    """Closed walks over corners: from i to below[i] in the column, then to i ^ 1 in the row."""
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
    """Simplify a polyline: drop vertices that move it by less than TOLERANCE.

    A first pass drops every point nearer than TOLERANCE to the last point kept. The second pass is
    the algorithm of Douglas and Peucker with the distance to the segment. The toolbox first runs
    both passes with a tolerance of .1, which leaves exactly the corners; `outlines` returns these.

    Args:
        points: [n,2] int64 in half pixels.
    """
    points = points[_spaced(points.tolist())]

    # Indices of kept points, and the parts between kept points that are not looked at yet.
    kept, open_parts = {0, len(points) - 1}, [(0, len(points) - 1)]
    while open_parts:
        first, last = open_parts.pop()
        if last - first < 2:
            continue

        distance = _squared_distance(points[first + 1 : last], points[first], points[last])
        farthest = len(distance) - 1 - int(distance[::-1].argmax())  # The last one of equals.
        if distance[farthest] > TOLERANCE**2:
            middle = first + 1 + farthest
            kept.add(middle)
            open_parts += [(first, middle), (middle, last)]

    return points[sorted(kept)]


def _spaced(points: list[list[int]]) -> list[int]:
    """Indices of both ends and of all points at least TOLERANCE from the last point kept."""
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
    # `length` is a square, so the fraction is 0 at the start of the segment and 1 at its end.
    fraction = (along.astype(np.float32) / np.float32(max(length, 1))).clip(0, 1)
    distance: np.ndarray = (
        (points - start - fraction[:, None] * segment.astype(np.float64)) ** 2
    ).sum(1)
    return distance


def resampled(points: np.ndarray) -> np.ndarray:
    """Cut every segment of a polygon that is longer than SPACING into equal parts.

    Args:
        points: [n,2] in pixels; may be empty.

    Returns:
        Points [m,2] float32.
    """
    if len(points) == 0:
        return points.astype(np.float32)

    steps = np.diff(points.astype(np.float32), axis=0)
    parts = np.ceil(np.hypot(*steps.T) / SPACING).astype(int).clip(1)

    pieces = []
    # The last point starts no segment, so it has no step, and is added after the loop.
    for start, step, n in zip(points.astype(np.float32), steps, parts.tolist(), strict=False):
        # The toolbox adds up steps in single precision. The same is done here, since the rounding
        # decides which bin a point falls into.
        increments = np.vstack([start, np.tile(step / np.float32(n), (n - 1, 1))])
        pieces.append(np.cumsum(increments, axis=0, dtype=np.float32))

    pieces.append(points[-1:].astype(np.float32))
    return np.vstack(pieces)


def shape_context(points: np.ndarray) -> np.ndarray:
    """Describe every point by where the other points lie.

    Distances are relative to the mean of all distances, with rings from 1/8 to 2 of it in equal
    ratios. Directions are those of the image. A point counts in its own histogram.

    Args:
        points: [n,2].

    Returns:
        Histogram over distance and direction of each point, [n,RINGS*ANGLES] float64; each sums to
            1.
    """
    # [n,n,2]: from point i to point j.
    offset = points[None, :].astype(np.float64) - points[:, None]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    # Relative distances make the histogram of an outline independent of its size. A single point
    # has no distance but 0.
    distance /= distance.mean() or 1.0

    # The ring is the number of larger edges; points of ring 0 are too far away to count.
    edges = np.logspace(np.log10(1 / 8), np.log10(2), RINGS)
    ring = RINGS - np.searchsorted(edges, distance, side="right")
    angle = np.arctan2(offset[..., 1], offset[..., 0]) % (2 * np.pi)
    sector = np.floor(angle / (2 * np.pi / ANGLES)).astype(int).clip(max=ANGLES - 1)

    # All histograms are counted at once: point i has the cells from i*(RINGS+1)*ANGLES on.
    cell = np.arange(len(points))[:, None] * (RINGS + 1) * ANGLES + ring * ANGLES + sector
    counts = np.bincount(cell.ravel(), minlength=len(points) * (RINGS + 1) * ANGLES)
    counts = counts.reshape(len(points), RINGS + 1, ANGLES)[:, 1:].reshape(len(points), -1)

    shares: np.ndarray = counts / (counts.sum(axis=1, keepdims=True) + TINY)
    return shares


def matching_cost(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Chi-squared distance of all pairs of histograms [n,bins] and [m,bins]: [n,m]."""
    cost = np.zeros((len(first), len(second)))
    # Bin by bin, since [n,m,bins] would not fit into the cache.
    for a, b in zip(first.T, second.T, strict=True):
        total = np.add.outer(a, b)
        cost += np.subtract.outer(a, b) ** 2 / (total + TINY)

    return cost / 2


def alignment(cost: np.ndarray) -> list[tuple[int, int]]:
    """Match the points of two closed outlines, in order and one to one.

    A first path starts where both polygons start. It serves only to find its cheapest pair, at
    which the final path ends.

    Args:
        cost: Costs [n,m] of all pairs.

    Returns:
        Pairs of indices.
    """
    path = cheapest_path(cost)
    cheapest = path[-1]
    # The first cell of a path is free, so it is no candidate. Of equals the last one counts.
    for cell in reversed(path[1:]):
        if cost[cell] < cost[cheapest]:
            cheapest = cell

    # Rotate both outlines so that the cheapest pair is the last one.
    shift = cheapest[0] + 1, cheapest[1] + 1
    rotated = np.roll(cost, (-shift[0], -shift[1]), axis=(0, 1))

    pairs = []
    for i, k in cheapest_path(rotated):
        pairs.append(((i + shift[0]) % cost.shape[0], (k + shift[1]) % cost.shape[1]))

    # One to one: first each point of one outline keeps one pair, then each point of the other.
    return _cheapest_of_each(_cheapest_of_each(pairs, cost, 0), cost, 1)


def _cheapest_of_each(
    pairs: list[tuple[int, int]], cost: np.ndarray, side: int
) -> list[tuple[int, int]]:
    """For every index on one side (0 or 1), keep the first of its cheapest pairs."""
    best: dict[int, tuple[int, int]] = {}
    for pair in pairs:
        cheapest = best.setdefault(pair[side], pair)
        if cost[pair] < cost[cheapest]:
            best[pair[side]] = pair

    return list(best.values())


def cheapest_path(cost: np.ndarray) -> list[tuple[int, int]]:
    """The cheapest path through a matrix, from cell (0, 0) to the last cell.

    Each step goes down, right or both. The cost of a path is the sum over its cells without the
    first. Of equally cheap steps the diagonal one is taken.

    Args:
        cost: [n,m].

    Returns:
        The cells of the path, in order.
    """
    total = _path_costs(cost)
    i, k = cost.shape[0] - 1, cost.shape[1] - 1
    path = [(i, k)]

    while i or k:
        # `min` takes the first of equally cheap steps, so the diagonal one comes first.
        steps = [(i - 1, k - 1), (i - 1, k), (i, k - 1)]
        i, k = min((cell for cell in steps if min(cell) >= 0), key=total.__getitem__)
        path.append((i, k))

    return path[::-1]


def _path_costs(cost: np.ndarray) -> np.ndarray:
    """Cost of the cheapest path from (0, 0) to every cell of [n,m], the first cell free."""
    n, m = cost.shape
    # All cells of an antidiagonal depend only on the two antidiagonals before, so each is computed
    # at once. They are rows of the skewed matrix: cell (i, k) lies at [i + k, i].
    i, k = np.indices(cost.shape)
    skewed = np.full((n + m - 1, n), np.inf)
    skewed[i + k, i] = cost
    skewed[0, 0] = 0

    # Two rows and one column of infinity come first: no path enters from outside.
    total = np.full((n + m + 1, n + 1), np.inf)
    total[2, 1] = 0
    for d in range(1, n + m - 1):
        right, down, both = total[d + 1, 1:], total[d + 1, :-1], total[d, :-1]
        total[d + 2, 1:] = skewed[d] + np.minimum(np.minimum(right, down), both)

    cheapest: np.ndarray = total[i + k + 2, i + 1]
    return cheapest
