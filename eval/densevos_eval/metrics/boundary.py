"""Contour accuracy F: how well the outlines of two masks agree."""

import math
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class Contour:
    """The outline of one mask of an image of H x W pixels.

    points: flat indices [n] of the pixels on the outline (none where the mask is empty or full).
    reach: [H,W] bool, the pixels that lie within the tolerance of one of the points.
    """

    points: np.ndarray
    reach: np.ndarray


def contour_accuracy(truth: np.ndarray, prediction: np.ndarray, objects: int, proposals: int) -> np.ndarray:
    """F-measure of the outlines of every object and every proposal: F [objects,proposals] float64.

    truth: ids [H,W] uint8 in 0..objects; prediction: ids [H,W] uint8 in 0..proposals; row i and column k
    belong to the ids i+1 and k+1. Source: Perazzi et al., CVPR 2016, section 4, with the matching by
    dilation of the DAVIS toolbox.
    """
    radius = tolerance(truth.shape)
    wanted = [contour(truth == i + 1, radius) for i in range(objects)]
    found = [contour(prediction == k + 1, radius) for k in range(proposals)]
    scores = [[f_measure(a, b) for b in found] for a in wanted]
    return np.array(scores, dtype=np.float64).reshape(objects, proposals)


def f_measure(truth: Contour, prediction: Contour) -> float:
    """F = 2PR / (P+R) of two outlines; 1 when neither has a point, 0 when only one has none."""
    if truth.points.size == 0 or prediction.points.size == 0:
        return float(truth.points.size == prediction.points.size)
    precision = np.count_nonzero(truth.reach.take(prediction.points)) / prediction.points.size
    recall = np.count_nonzero(prediction.reach.take(truth.points)) / truth.points.size
    return 2 * precision * recall / (precision + recall) if precision + recall > 0 else 0.0


def contour(mask: np.ndarray, radius: int) -> Contour:
    """Outline of the mask [H,W] bool and what lies within `radius` pixels of it."""
    reach = np.zeros(mask.shape, dtype=bool)
    # Only the object's bounding box is looked at, grown by what its outline can reach.
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    if width == 0:
        return Contour(points=np.empty(0, np.intp), reach=reach)
    margin = radius + 1
    y, x = max(top - margin, 0), max(left - margin, 0)
    window = np.s_[y : top + height + margin, x : left + width + margin]
    edge = boundary(mask[window])
    rows, columns = np.nonzero(edge)
    reach[window] = cv2.dilate(edge.view(np.uint8), disk(radius))
    return Contour(points=(rows + y) * mask.shape[1] + columns + x, reach=reach)


def boundary(mask: np.ndarray) -> np.ndarray:
    """Pixels [H,W] bool that differ from their neighbour to the east, south or south-east.

    At the image's border the mask [H,W] bool goes on as it ends, so a full mask has no boundary.
    """
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    east, south, south_east = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask != east) | (mask != south) | (mask != south_east)


def tolerance(shape: tuple[int, ...], fraction: float = 0.008) -> int:
    """How far apart two outlines may lie, in pixels: a fraction of the diagonal of [H,W], rounded up."""
    return math.ceil(fraction * math.hypot(*shape))


def disk(radius: int) -> np.ndarray:
    """Footprint [2*radius+1,2*radius+1] uint8 of the pixels whose centres lie within `radius`."""
    offsets = np.arange(-radius, radius + 1)
    return (offsets[:, None] ** 2 + offsets[None, :] ** 2 <= radius**2).astype(np.uint8)
