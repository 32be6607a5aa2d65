"""Which proposal stands for which object."""

import numpy as np


def same_id(region: np.ndarray, contour: np.ndarray) -> np.ndarray:
    """Semi-supervised: the proposal with the object's own id.

    region, contour: J and F [objects,proposals,frames]. Returns [objects], the column of each one's
    proposal.
    """
    return np.arange(len(region))


def best_assignment(region: np.ndarray, contour: np.ndarray) -> np.ndarray:
    """Unsupervised: the one-to-one assignment with the highest mean of J and F over the video.

    region, contour: J and F [objects,proposals,frames], at least as many proposals as objects.
    Returns [objects], the column of each one's proposal; proposals left over cost nothing. Source:
    Caelles et al., The 2019 DAVIS Challenge on VOS, section 3.
    """
    from scipy.optimize import (
        linear_sum_assignment,
    )  # Imported here: slow to load and seldom needed.

    benefit = (region.mean(axis=2) + contour.mean(axis=2)) / 2
    _, chosen = linear_sum_assignment(benefit, maximize=True)
    return chosen


def without_void(
    truth: np.ndarray, prediction: np.ndarray, void: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both id maps [H,W] with the pixels of `void` [H,W] bool made background, so that neither has
    them.
    """
    return np.where(void, 0, truth), np.where(void, 0, prediction)
