"""Region similarity J: how much two masks overlap."""

import numpy as np

from densevos_eval.metrics.pixels import true_places


def region_similarity(
    truth: np.ndarray, prediction: np.ndarray, objects: int, proposals: int
) -> np.ndarray:
    """Intersection over union of every object with every proposal: J [objects,proposals] float64.

    truth: ids [H,W] uint8 in 0..objects; prediction: ids [H,W] uint8 in 0..proposals; row i and
    column k belong to the ids i+1 and k+1. Two empty masks are equal: J = 1. Source: Perazzi et
    al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation, CVPR 2016,
    section 4.
    """
    pixels = _joint_histogram(truth, prediction, objects, proposals)
    intersection = pixels[1:, 1:]
    union = pixels.sum(axis=1)[1:, None] + pixels.sum(axis=0)[None, 1:] - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def _joint_histogram(
    truth: np.ndarray, prediction: np.ndarray, objects: int, proposals: int
) -> np.ndarray:
    """Number of pixels [objects+1,proposals+1] with each pair of ids, background included.

    Runs of equal pixels are counted instead of pixels: masks have few.
    """
    bins = (objects + 1) * (proposals + 1)  # at most 256*256
    pairs = truth.ravel() * np.min_scalar_type(bins - 1).type(proposals + 1)
    pairs += prediction.ravel()
    starts = np.concatenate([[0], 1 + true_places(pairs[1:] != pairs[:-1])])
    runs = np.diff(starts, append=pairs.size)
    counts = np.bincount(pairs[starts], weights=runs, minlength=bins)

    return counts.reshape(objects + 1, proposals + 1)
