"""Contour accuracy F: how well the outlines of two masks agree."""

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
        radius: How far apart outlines may lie, in pixels; the tolerance of [H,W] if it is left out.

    Returns:
        F [objects,proposals] float64: 2PR / (P+R); 1 when neither has an outline, 0 when only one
            has none.

    Source: Perazzi et al., CVPR 2016, section 4, with the matching by dilation of the DAVIS
        toolbox.
    """
    radius = tolerance(truth.shape) if radius is None else radius
    wanted, found = outlines(truth, objects), outlines(prediction, proposals)
    precision = share_within(found, wanted, radius)
    recall = share_within(wanted, found, radius).T

    return f_measure(
        precision, recall, nothing=np.logical_and.outer(lengths(wanted) == 0, lengths(found) == 0)
    )


def f_measure(precision: np.ndarray, recall: np.ndarray, *, nothing: np.ndarray) -> np.ndarray:
    """F from precision and recall; 1 where there is `nothing` on either side."""
    total = precision + recall
    scores = 2 * precision * recall / np.where(total > 0, total, 1)
    return np.where(nothing, 1.0, scores)


def share_within(points: Outlines, targets: Outlines, radius: int) -> np.ndarray:
    """Share [targets.objects,points.objects] of each outline's pixels within `radius` of each
    target outline.
    """
    starts = np.searchsorted(targets.owner, np.arange(targets.objects + 1))
    near = np.zeros((targets.objects, points.objects))
    for i, (start, end) in enumerate(pairwise(starts)):
        if start < end:
            chosen = _within(points, targets.rows[start:end], targets.columns[start:end], radius)
            near[i] = np.bincount(points.owner[chosen], minlength=points.objects)

    return near / np.maximum(lengths(points), 1)


def _within(points: Outlines, rows: np.ndarray, columns: np.ndarray, radius: int) -> np.ndarray:
    """Indices of the points within `radius` of one of the pixels (rows, columns), of which there is
    one at least.
    """
    # Only the pixels' box is looked at: grown once for the points near it, once more for what is
    # near those.
    top, left = rows.min() - 2 * radius, columns.min() - 2 * radius
    height, width = rows.max() - top + 2 * radius + 1, columns.max() - left + 2 * radius + 1
    window = np.zeros((height, width), np.uint8)
    window[rows - top, columns - left] = 1
    y, x = points.rows - top, points.columns - left
    inside = np.flatnonzero(
        (y >= radius) & (y < height - radius) & (x >= radius) & (x < width - radius)
    )
    counts, place = cv2.integral(window), y[inside] * (width + 1) + x[inside]
    first, *others = rectangles(radius)  # The largest settles most points.
    hit = any_inside(counts, place, [first])
    hit[~hit] = any_inside(counts, place[~hit], others)

    return inside[hit]


def any_inside(counts: np.ndarray, place: np.ndarray, shapes: list[tuple[int, int]]) -> np.ndarray:
    """Whether a pixel is set in any of the rectangles around the flat indices [n] into its integral
    image [h,w].
    """
    y, x = np.array(shapes, dtype=np.int32).reshape(-1, 2).T
    flat, stride, place = counts.ravel(), counts.shape[1], place[:, None]
    above, below, left, right = -y * stride, (y + 1) * stride, -x, x + 1
    inner = flat.take(place + (above + left)) + flat.take(place + (below + right))

    return (inner > flat.take(place + (above + right)) + flat.take(place + (below + left))).any(
        axis=1
    )


@lru_cache
def rectangles(radius: int) -> list[tuple[int, int]]:
    """Half heights and half widths of the rectangles that make up the disk of pixels within
    `radius`, largest first.
    """
    widths = [math.isqrt(radius**2 - y**2) for y in range(radius + 1)]
    corners = [(y, x) for y, x in enumerate(widths) if y == radius or widths[y + 1] < x]
    return sorted(
        corners, key=lambda corner: (2 * corner[0] + 1) * (2 * corner[1] + 1), reverse=True
    )


def tolerance(shape: tuple[int, ...], fraction: float = 0.008) -> int:
    """How far apart two outlines may lie, in pixels: a fraction of the diagonal of [H,W], rounded
    up.
    """
    return math.ceil(fraction * math.hypot(*shape))
