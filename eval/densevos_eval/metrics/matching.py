"""Choose the proposal that stands for each object.

Proposals are the ids of a result; objects are the ids of the annotations.
"""

# Shapes: J and F are [objects,proposals,frames]; H x W pixels.

import numpy as np


def same_id(region: np.ndarray, contour: np.ndarray) -> np.ndarray:
    """Semi-supervised: choose the proposal with the object's own id.

    Args:
        region: J [objects,proposals,frames].
        contour: F [objects,proposals,frames].

    Returns:
        [objects] int, the column of the proposal of each object.
    """
    return np.arange(len(region))


def best_assignment(region: np.ndarray, contour: np.ndarray) -> np.ndarray:
    """Unsupervised: the one-to-one assignment with the highest mean of J and F over the video.

    Args:
        region: J [objects,proposals,frames], with at least as many proposals as objects.
        contour: F [objects,proposals,frames].

    Returns:
        [objects] int, the column of the proposal of each object; proposals left over cost nothing.

    Source: Caelles et al., The 2019 DAVIS Challenge on VOS, section 3.
    """
    # Imported here, since scipy is slow to load and seldom needed.
    from scipy.optimize import linear_sum_assignment

    # J and F count alike, as in the official ranking by J&F.
    benefit = (region.mean(axis=2) + contour.mean(axis=2)) / 2
    chosen: np.ndarray
    _, chosen = linear_sum_assignment(benefit, maximize=True)
    return chosen


def without_void(
    truth: np.ndarray, prediction: np.ndarray, void: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Make void pixels background on both sides, so that they count for neither.

    Args:
        truth: Ids [H,W] uint8.
        prediction: Ids [H,W] uint8.
        void: Pixels [H,W] bool that do not count.

    Returns:
        Both id maps [H,W].
    """
    return np.where(void, 0, truth), np.where(void, 0, prediction)
