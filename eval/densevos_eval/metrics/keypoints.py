"""PCK: the share of joints that are found near enough to where they are."""

import numpy as np

OF_DIAGONAL = 0.6  # Distances are relative to this much of the diagonal of the box.


def relative_distances(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """How far joints are from the truth, as published numbers on JHMDB measure it.

    The unit is .6 of the diagonal of the tightest box around the true joints of the same frame.
    Lost joints belong to neither the box nor the count; joints outside the image belong to both.

    Args:
        truth: (x, y) in pixels, [frames,joints,2].
        prediction: The same of what was found; NaN where a joint is lost.

    Returns:
        [frames,joints] float64; NaN for lost joints. A frame with a single joint has no box, and
        its distance is infinite, even where the joint is found exactly.

    Source: the script that Wang et al. (TimeCycle, CVPR 2019), Li et al. (UVC, NeurIPS 2019), Jabri
        et al. (CRW,
    NeurIPS 2020, eval/eval_pck.py) and CropMAE hand on.
    """
    found = ~np.isnan(prediction).any(axis=2)
    lowest = np.where(found[..., None], truth, np.inf).min(axis=1)
    highest = np.where(found[..., None], truth, -np.inf).max(axis=1)
    unit = np.where(found.any(axis=1), OF_DIAGONAL * np.hypot(*(highest - lowest).T), 0)

    distance = np.hypot(*(prediction - truth).transpose(2, 0, 1))
    relative = distance / np.where(unit > 0, unit, np.nan)[:, None]
    return np.where(found & (unit == 0)[:, None], np.inf, relative)


def pck(distances: np.ndarray, threshold: float) -> np.ndarray:
    """Share [joints] of the relative distances [frames,joints] up to a threshold; NaN where a joint
    is always lost.
    """
    counted = (~np.isnan(distances)).sum(axis=0)
    near = (distances <= threshold).sum(axis=0)  # NaN is not near.
    return np.where(counted > 0, near / np.maximum(counted, 1), np.nan)


def correct_keypoints(
    truth: np.ndarray, prediction: np.ndarray, size: tuple[int, int], threshold: float
) -> np.ndarray:
    """Whether each joint is found: [frames,joints] float64, 1 or 0, NaN for joints outside the
    image [H,W] = `size`.

    truth, prediction: (x, y) in pixels from 0 on, [frames,joints,2]; NaN in the prediction means
    not found.

    A joint is correct when its distance to the truth is at most threshold * max(width, height) of
    the tightest box around all true joints of *that frame* inside the image; lost joints are not
    correct. Source: Yang and Ramanan, Articulated Human Detection with Flexible Mixtures of Parts,
    PAMI 2013, section 6. No published numbers on JHMDB are known to be measured so; see
    relative_distances for those.
    """
    inside = np.all((truth >= 0) & (truth <= np.array(size[::-1]) - 1), axis=2)
    seen = np.where(inside[..., None], truth, np.nan)
    correct = np.full(inside.shape, np.nan)

    for t in np.flatnonzero(inside.any(axis=1)):
        box = (np.nanmax(seen[t], axis=0) - np.nanmin(seen[t], axis=0)).max()
        near = np.hypot(*(prediction[t] - truth[t]).T) <= threshold * box  # NaN is not near
        correct[t] = np.where(inside[t], near, np.nan)

    return correct
