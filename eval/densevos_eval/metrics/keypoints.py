"""PCK: the share of joints that are found near enough to where they are."""

import numpy as np


def correct_keypoints(truth: np.ndarray, prediction: np.ndarray, size: tuple[int, int], threshold: float) -> np.ndarray:
    """Whether each joint is found: [frames,joints] float64, 1 or 0, NaN for joints outside the image [H,W] = `size`.

    truth, prediction: (x, y) in pixels from 0 on, [frames,joints,2]; NaN in the prediction means not found.

    PCK@a as defined here: a joint is correct when its distance to the truth is at most a * max(width, height) of the
    tightest box around all true joints of *that frame* inside the image. Source: Yang and Ramanan, Articulated Human
    Detection with Flexible Mixtures of Parts, PAMI 2013, section 6. Published numbers on JHMDB differ in the box (that
    of the puppet mask, of the first frame, or .6 of it). Those of Jabri et al. (CRW, NeurIPS 2020) come from a script
    handed on from Wang et al. (TimeCycle, CVPR 2019); that it uses the box of the joints is likely, whether with a
    factor of .6 was not checked. So compare only what was scored alike.
    """
    inside = np.all((truth >= 0) & (truth <= np.array(size[::-1]) - 1), axis=2)
    seen = np.where(inside[..., None], truth, np.nan)
    correct = np.full(inside.shape, np.nan)
    for t in np.flatnonzero(inside.any(axis=1)):
        box = (np.nanmax(seen[t], axis=0) - np.nanmin(seen[t], axis=0)).max()
        near = np.hypot(*(prediction[t] - truth[t]).T) <= threshold * box  # NaN is not near
        correct[t] = np.where(inside[t], near, np.nan)
    return correct
