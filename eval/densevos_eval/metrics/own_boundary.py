"""Contour accuracy F of every object with the prediction of the same id.

This is the diagonal of contour_accuracy, but faster. Each object that has an outline on both sides
has a window of its own, which holds both outlines and a margin of the tolerance. The windows lie
below one another in one image, so many objects need no more calls of numpy than one.

Shapes: H x W pixels; K objects with an outline on both sides; N pixels on outlines.
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

MOST_PIXELS = 1 << 24  # Limit for all windows together; a pixel takes some 5 bytes.


@dataclass(frozen=True, kw_only=True)
class Windows:
    """Where the windows lie: the pixel (y, x) of object k is at (y + down[k], x + right[k]).

    Attributes:
        size: [H,W] of the image that holds all windows.
        down: [objects] int32; 0 for objects without a window.
        right: [objects] int32; 0 for objects without a window.
    """

    size: tuple[int, int]
    down: np.ndarray
    right: np.ndarray


def own_contour_accuracy(
    truth: np.ndarray, prediction: np.ndarray, objects: int, radius: int | None = None
) -> np.ndarray:
    """F-measure of the outline of every object with the predicted outline of the same id.

    Args:
        truth: Ids [H,W] uint8.
        prediction: Ids [H,W] uint8.
        objects: Number of objects, whose ids are 1 to this; other ids are no objects.
        radius: How far apart outlines may lie, in pixels; by default the tolerance of [H,W].

    Returns:
        F [objects] float64; see contour_accuracy.
    """
    radius = tolerance(truth.shape) if radius is None else radius
    true_outlines, predicted = outlines(truth, objects), outlines(prediction, objects)
    true_count, predicted_count = lengths(true_outlines), lengths(predicted)
    both = (true_count > 0) & (predicted_count > 0)

    # Pixels of each predicted outline near the true one, and the other way round.
    correct, recalled = np.zeros((2, objects), np.intp)

    if both.any():
        true_outlines, predicted = _of(true_outlines, both), _of(predicted, both)
        windows = _windows(true_outlines, predicted, both, radius)

        # Many large objects would take too much memory, so they are compared one by one.
        if windows.size[0] * windows.size[1] > MOST_PIXELS:
            objects_only = np.where(prediction > objects, 0, prediction)
            return np.diagonal(contour_accuracy(truth, objects_only, objects, objects, radius))

        true_places, places = _places(true_outlines, windows), _places(predicted, windows)
        near_truth = _near(places, true_places, windows, radius)
        near_prediction = _near(true_places, places, windows, radius)
        correct = np.bincount(predicted.owner[near_truth], minlength=objects)
        recalled = np.bincount(true_outlines.owner[near_prediction], minlength=objects)

    precision = correct / np.maximum(predicted_count, 1)
    recall = recalled / np.maximum(true_count, 1)
    return f_measure(precision, recall, nothing=(true_count == 0) & (predicted_count == 0))


def _of(points: Outlines, chosen: np.ndarray) -> Outlines:
    """Only the outlines of the chosen objects, [objects] bool."""
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
    first_lowest, first_highest = _boxes(first, owners)
    second_lowest, second_highest = _boxes(second, owners)

    # The box around both outlines of an object, with a margin on all sides.
    corner = np.minimum(first_lowest, second_lowest) - radius
    height, width = np.maximum(first_highest, second_highest) + radius + 1 - corner

    # A window starts in the row in which the one above it ends, and in column 0.
    ends = np.cumsum(height, dtype=np.int64)
    down, right = np.zeros((2, len(both)), np.int32)
    down[owners], right[owners] = ends - height - corner[0], -corner[1]
    return Windows(size=(int(ends[-1]), int(width.max())), down=down, right=right)


def _boxes(points: Outlines, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest row and column, [2,K] each, of the outlines of these objects [K]."""
    pixels = np.stack([points.rows, points.columns])  # [2,N]
    starts = np.searchsorted(points.owner, owners)
    # Every owner has pixels here, and they are sorted, so each run ends where the next one starts.
    lowest = np.minimum.reduceat(pixels, starts, axis=1)
    highest = np.maximum.reduceat(pixels, starts, axis=1)

    return lowest, highest


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
    # Flat indices [N] in the integral image, which has one more column than the image.
    place = points[0] * np.int32(counts.shape[1]) + points[1]

    # The largest rectangle of the disk settles most points.
    largest, *others = rectangles(radius)
    near = any_inside(counts, place, [largest])
    open_points = np.flatnonzero(~near)
    near[open_points] = any_inside(counts, place[open_points], others)

    return near
