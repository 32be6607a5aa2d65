"""Contour accuracy F: how well the outlines of two masks agree.

Shapes: H x W pixels of a mask, h x w pixels of an integral image, n points.
"""

import math
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np

from densevos_eval.metrics.outlines import Outlines, lengths, outlines


def contour_accuracy(
    truth: np.ndarray,
    prediction: np.ndarray,
    objects: int,
    proposals: int,
    radius: int | None = None,
) -> np.ndarray:
    """F-measure of the outlines of every object and every proposal.

    Args:
        truth: Ids [H,W] uint8 in 0..objects.
        prediction: Ids [H,W] uint8 in 0..proposals.
        objects: Number of objects; row i belongs to the id i+1.
        proposals: Number of proposals; column k belongs to the id k+1.
        radius: How far apart outlines may lie, in pixels; by default the tolerance of [H,W].

    Returns:
        F [objects,proposals] float64: 2PR / (P+R); 1 if neither has an outline, 0 if only one has.

    Source: Perazzi et al., CVPR 2016, section 4, with the matching by dilation of the DAVIS
        toolbox.
    """
    radius = tolerance(truth.shape) if radius is None else radius
    true_outlines, predicted = outlines(truth, objects), outlines(prediction, proposals)
    # Precision is the share of the predicted outline near the true one, recall the reverse. Rows
    # are targets, so recall comes out as [proposals,objects] and is transposed.
    precision = share_within(predicted, true_outlines, radius)
    recall = share_within(true_outlines, predicted, radius).T

    nothing = np.logical_and.outer(lengths(true_outlines) == 0, lengths(predicted) == 0)
    return f_measure(precision, recall, nothing=nothing)


def f_measure(precision: np.ndarray, recall: np.ndarray, *, nothing: np.ndarray) -> np.ndarray:
    """F from precision and recall, all of one shape.

    Args:
        precision: Precision of each pair.
        recall: Recall of each pair.
        nothing: Where neither side has an outline; F is 1 there.
    """
    # Where the total is 0 the numerator is 0 too, so the 1 only avoids a division by zero.
    total = precision + recall
    scores = 2 * precision * recall / np.where(total > 0, total, 1)
    return np.where(nothing, 1.0, scores)


def share_within(points: Outlines, targets: Outlines, radius: int) -> np.ndarray:
    """Share of the pixels of each outline that lie near each target outline.

    Args:
        points: The outlines whose pixels are counted.
        targets: The outlines that pixels may lie near.
        radius: How far apart is near, in pixels.

    Returns:
        [targets.objects,points.objects] float64; 0 for outlines without pixels.
    """
    # Pixels are sorted by object, so those of object i are targets.rows[starts[i]:starts[i + 1]].
    starts = np.searchsorted(targets.owner, np.arange(targets.objects + 1))
    # Counts first, then shares: [targets.objects,points.objects].
    near = np.zeros((targets.objects, points.objects))

    for i, (start, end) in enumerate(pairwise(starts)):
        if start < end:
            chosen = _within(points, targets.rows[start:end], targets.columns[start:end], radius)
            near[i] = np.bincount(points.owner[chosen], minlength=points.objects)

    shares: np.ndarray = near / np.maximum(lengths(points), 1)
    return shares


def _within(points: Outlines, rows: np.ndarray, columns: np.ndarray, radius: int) -> np.ndarray:
    """Indices of the points within `radius` of one of the pixels (rows, columns), at least one."""
    # Only a window around the pixels matters. It is their box, grown by the radius so that it holds
    # all points near them, and once more so that it holds the disks around those points.
    top, left = rows.min() - 2 * radius, columns.min() - 2 * radius
    height, width = rows.max() - top + 2 * radius + 1, columns.max() - left + 2 * radius + 1
    window = np.zeros((height, width), np.uint8)
    window[rows - top, columns - left] = 1

    # Points further out than the first margin are near no pixel.
    y, x = points.rows - top, points.columns - left
    inside = np.flatnonzero(
        (y >= radius) & (y < height - radius) & (x >= radius) & (x < width - radius)
    )

    # The integral image has one more column than the window.
    counts, place = cv2.integral(window), y[inside] * (width + 1) + x[inside]

    # The largest rectangle of the disk settles most points.
    largest, *others = rectangles(radius)
    hit = any_inside(counts, place, [largest])
    hit[~hit] = any_inside(counts, place[~hit], others)

    reached: np.ndarray = inside[hit]
    return reached


def any_inside(counts: np.ndarray, place: np.ndarray, shapes: list[tuple[int, int]]) -> np.ndarray:
    """Whether any pixel is set in one of several rectangles around each point.

    Args:
        counts: Integral image [h,w] of the pixels.
        place: Flat indices [n] of the points in the integral image.
        shapes: Half height and half width of each rectangle.

    Returns:
        [n] bool.
    """
    # Without rectangles the reshape gives [0,2], and no point is inside.
    y, x = np.array(shapes, dtype=np.int32).reshape(-1, 2).T
    flat, stride, place = counts.ravel(), counts.shape[1], place[:, None]
    # Cell (y, x) of an integral image is the sum of all pixels above and to the left of pixel
    # (y, x), so the lower and the right side of a rectangle lie one further.
    above, below, left, right = -y * stride, (y + 1) * stride, -x, x + 1

    # The sum of a rectangle is (top left + bottom right) - (top right + bottom left).
    plus = flat.take(place + (above + left)) + flat.take(place + (below + right))
    minus = flat.take(place + (above + right)) + flat.take(place + (below + left))
    found: np.ndarray = (plus > minus).any(axis=1)
    return found


@lru_cache
def rectangles(radius: int) -> list[tuple[int, int]]:
    """Rectangles that together cover exactly the pixels within `radius` of a point.

    Returns:
        Half height and half width of each rectangle, largest first.
    """
    # widths[y] is how far the disk reaches to either side, y rows above or below its centre.
    widths = [math.isqrt(radius**2 - y**2) for y in range(radius + 1)]

    # Of rows with equal widths only the outermost one bounds a rectangle.
    corners = []
    for y, x in enumerate(widths):
        if y == radius or widths[y + 1] < x:
            corners.append((y, x))

    def area(corner: tuple[int, int]) -> int:
        return (2 * corner[0] + 1) * (2 * corner[1] + 1)

    return sorted(corners, key=area, reverse=True)


def tolerance(shape: tuple[int, ...], fraction: float = 0.008) -> int:
    """How far apart two outlines may lie, in pixels.

    Args:
        shape: [H,W] of the mask.
        fraction: Share of the diagonal; the result is rounded up.
    """
    # As in the DAVIS toolbox. A frame of 480x854 pixels has a tolerance of 8.
    return math.ceil(fraction * math.hypot(*shape))
