"""Region similarity J: how much two masks overlap.

Shapes: H x W pixels; J is [objects,proposals], since each object is compared with each proposal.
"""

import numpy as np

from densevos_eval.metrics.pixels import true_places


def region_similarity(
    truth: np.ndarray, prediction: np.ndarray, objects: int, proposals: int
) -> np.ndarray:
    """Intersection over union of every object with every proposal.

    Args:
        truth: Ids [H,W] uint8 in 0..objects.
        prediction: Ids [H,W] uint8 in 0..proposals.
        objects: Number of objects; row i belongs to the id i+1.
        proposals: Number of proposals; column k belongs to the id k+1.

    Returns:
        J [objects,proposals] float64. Two empty masks are equal: J = 1.

    Source: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object
        Segmentation, CVPR 2016, section 4.
    """
    # Row 0 and column 0 are the background: they count for unions, but have no J of their own.
    pixels = _joint_histogram(truth, prediction, objects, proposals)
    intersection = pixels[1:, 1:]
    union = pixels.sum(axis=1)[1:, None] + pixels.sum(axis=0)[None, 1:] - intersection
    return np.where(union == 0, 1.0, intersection / np.maximum(union, 1))


def _joint_histogram(
    truth: np.ndarray, prediction: np.ndarray, objects: int, proposals: int
) -> np.ndarray:
    """Number of pixels [objects+1,proposals+1] with each pair of ids, background included.

    Runs of equal pixels are counted instead of single pixels, since masks have few runs.
    """
    # One number for each pair of ids, in the smallest type that holds them all.
    bins = (objects + 1) * (proposals + 1)  # At most 256*256.
    pairs = truth.ravel() * np.min_scalar_type(bins - 1).type(proposals + 1)
    pairs += prediction.ravel()

    # A run starts at the first pixel and wherever the pair changes.
    starts = np.concatenate([[0], 1 + true_places(pairs[1:] != pairs[:-1])])
    runs = np.diff(starts, append=pairs.size)
    # Each run counts with its length. As weights these become float64, which holds them exactly.
    counts = np.bincount(pairs[starts], weights=runs, minlength=bins)

    return counts.reshape(objects + 1, proposals + 1)
