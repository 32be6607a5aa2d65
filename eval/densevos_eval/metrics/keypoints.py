"""PCK, the percentage of correct keypoints: the share of joints that are near their true place."""

# Shapes: positions are [frames,joints,2], what is measured of them is [frames,joints].

import numpy as np

OF_DIAGONAL = 0.6  # The unit of relative distances, as a share of the diagonal of the box.


def relative_distances(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Distances of joints from the truth, as published numbers on JHMDB measure them.

    The unit is .6 of the diagonal of the tightest box around the true joints of the same frame.
    Lost joints are left out of the box and of the count; joints outside the image belong to both.

    Args:
        truth: True positions (x, y) in pixels, [frames,joints,2].
        prediction: Predicted positions (x, y) in pixels, [frames,joints,2]; NaN for lost joints.

    Returns:
        [frames,joints] float64; NaN for lost joints. A frame with a single joint has no box; its
            distance is infinite, even if the joint is found exactly.

    Source: The script that is shared by Wang et al. (TimeCycle, CVPR 2019), Li et al. (UVC, NeurIPS
        2019), Jabri et al. (CRW, NeurIPS 2020, eval/eval_pck.py) and CropMAE.
    """
    # The original script leaves lost joints out of the box, although their true places are known.
    found = ~np.isnan(prediction).any(axis=2)
    # Lost joints become infinite, so that they are neither the lowest nor the highest; [frames,2].
    lowest = np.where(found[..., None], truth, np.inf).min(axis=1)
    highest = np.where(found[..., None], truth, -np.inf).max(axis=1)
    width, height = (highest - lowest).T
    # If all joints of a frame are lost, its box is infinite; its unit is set to 0 instead.
    unit = np.where(found.any(axis=1), OF_DIAGONAL * np.hypot(width, height), 0)

    # A unit of 0 becomes NaN, so that there is no division by zero.
    offset = prediction - truth
    distance = np.hypot(offset[..., 0], offset[..., 1])
    relative = distance / np.where(unit > 0, unit, np.nan)[:, None]
    return np.where(found & (unit == 0)[:, None], np.inf, relative)


def pck(distances: np.ndarray, threshold: float) -> np.ndarray:
    """Share of the frames in which each joint is near enough to the truth.

    Args:
        distances: Relative distances [frames,joints]; NaN for lost joints, which do not count.
        threshold: Largest relative distance that is near enough.

    Returns:
        [joints] float64; NaN for a joint that is lost in all frames.
    """
    counted = (~np.isnan(distances)).sum(axis=0)
    near = (distances <= threshold).sum(axis=0)  # Comparisons with NaN are false.
    return np.where(counted > 0, near / np.maximum(counted, 1), np.nan)


def correct_keypoints(
    truth: np.ndarray, prediction: np.ndarray, size: tuple[int, int], threshold: float
) -> np.ndarray:
    """Whether each joint is correct.

    A joint is correct if its distance to the truth is at most threshold * max(width, height) of the
    tightest box around all true joints of the same frame that lie inside the image. Lost joints are
    not correct.

    Args:
        truth: True positions (x, y) in pixels from 0 on, [frames,joints,2].
        prediction: Predicted positions (x, y), [frames,joints,2]; NaN for lost joints.
        size: [H,W] of the image.
        threshold: Largest distance, as a share of the longest side of the box.

    Returns:
        [frames,joints] float64, 1 or 0; NaN for joints that lie outside the image.

    Source: Yang and Ramanan, Articulated Human Detection with Flexible Mixtures of Parts, PAMI
        2013, section 6. Published numbers on JHMDB are measured by relative_distances instead.
    """
    # Truth is (x, y), sizes are [H,W].
    inside = np.all((truth >= 0) & (truth <= np.array(size[::-1]) - 1), axis=2)
    seen = np.where(inside[..., None], truth, np.nan)
    correct = np.full(inside.shape, np.nan)

    # Frames without a joint inside the image keep NaN.
    for t in np.flatnonzero(inside.any(axis=1)):
        box = (np.nanmax(seen[t], axis=0) - np.nanmin(seen[t], axis=0)).max()

        # Comparisons with NaN are false, so lost joints are not correct.
        x, y = (prediction[t] - truth[t]).T
        near = np.hypot(x, y) <= threshold * box
        correct[t] = np.where(inside[t], near, np.nan)

    return correct
