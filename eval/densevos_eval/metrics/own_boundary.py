"""Contour accuracy F of every object with the prediction of the same id: the diagonal of
contour_accuracy, faster.

K is the number of objects that have an outline on both sides, N that of pixels on outlines. Each of
the K has a window of its own, as large as both outlines and a margin of the tolerance. The windows
lie below one another in one image, so that numpy is called as often for many objects as for one.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from densevos_eval.metrics.boundary import (
    any_inside,
    contour_accuracy,
    f_measure,
    rectangles,
    tolerance,
)
from densevos_eval.metrics.outlines import Outlines, lengths, outlines

MOST_PIXELS = 1 << 24  # Of all windows together, at some 5 bytes each.


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Where the windows lie: the pixel (y, x) of object k is at (y + down[k], x + right[k]).

    size: [H,W] of all windows together. down, right: [objects] int32; 0 for objects without window.
    """

    size: tuple[int, int]
    down: np.ndarray
    right: np.ndarray


def own_contour_accuracy(
    truth: np.ndarray, prediction: np.ndarray, objects: int, radius: int | None = None
) -> np.ndarray:
    """F-measure [objects] float64 of the outline of every object with that of the same id.

    Args:
        truth: Ids [H,W] uint8.
        prediction: Ids [H,W] uint8.
        objects: Number of objects, whose ids are 1 to this; other ids are none of them.
        radius: How far apart outlines may lie, in pixels; the tolerance of [H,W] if it is left out.
    """
    radius = tolerance(truth.shape) if radius is None else radius
    wanted, found = outlines(truth, objects), outlines(prediction, objects)
    wanted_count, found_count = lengths(wanted), lengths(found)
    both = (wanted_count > 0) & (found_count > 0)
    right, recalled = np.zeros((2, objects), np.intp)

    if both.any():
        wanted, found = _of(wanted, both), _of(found, both)
        windows = _windows(wanted, found, both, radius)
        if windows.size[0] * windows.size[1] > MOST_PIXELS:
            known = np.where(prediction > objects, 0, prediction)
            return np.diagonal(contour_accuracy(truth, known, objects, objects, radius))

        places = _places(wanted, windows), _places(found, windows)
        right = np.bincount(
            found.owner[_near(places[1], places[0], windows, radius)], minlength=objects
        )
        recalled = np.bincount(
            wanted.owner[_near(places[0], places[1], windows, radius)], minlength=objects
        )

    precision, recall = right / np.maximum(found_count, 1), recalled / np.maximum(wanted_count, 1)
    return f_measure(precision, recall, nothing=(wanted_count == 0) & (found_count == 0))


def _of(points: Outlines, chosen: np.ndarray) -> Outlines:
    """The outlines of the objects [objects] bool alone."""
    if chosen.all():
        return points

    kept = chosen[points.owner]
    return Outlines(
        objects=points.objects,
        owner=points.owner[kept],
        rows=points.rows[kept],
        columns=points.columns[kept],
    )


def _windows(first: Outlines, second: Outlines, both: np.ndarray, radius: int) -> Windows:
    """A window for each of the objects that have outlines on `both` [objects] sides."""
    owners = np.flatnonzero(both)
    lowest, highest = [], []
    for points in (first, second):
        pixels = np.stack([points.rows, points.columns])  # [2,N]
        starts = np.searchsorted(points.owner, owners)
        lowest.append(np.minimum.reduceat(pixels, starts, axis=1))  # [2,K]
        highest.append(np.maximum.reduceat(pixels, starts, axis=1))

    corner = np.minimum(*lowest) - radius
    height, width = np.maximum(*highest) + radius + 1 - corner

    ends = np.cumsum(height, dtype=np.int64)
    down, right = np.zeros((2, len(both)), np.int32)
    down[owners], right[owners] = ends - height - corner[0], -corner[1]
    return Windows(size=(int(ends[-1]), int(width.max())), down=down, right=right)


def _places(points: Outlines, windows: Windows) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns [N] of the points in the image of all windows."""
    return points.rows + windows.down[points.owner], points.columns + windows.right[points.owner]


def _near(
    points: tuple[np.ndarray, np.ndarray],
    targets: tuple[np.ndarray, np.ndarray],
    windows: Windows,
    radius: int,
) -> np.ndarray:
    """Whether each of the points [N] is within `radius` of one of the targets in its window."""
    image = np.zeros(windows.size, np.uint8)
    image[targets] = 1
    counts = cv2.integral(image)
    place = points[0] * np.int32(counts.shape[1]) + points[1]

    # The largest rectangle of the disk settles most points.
    largest, *others = rectangles(radius)
    near = any_inside(counts, place, [largest])
    open_points = np.flatnonzero(~near)
    near[open_points] = any_inside(counts, place[open_points], others)

    return near
