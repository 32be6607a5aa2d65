"""Joints as soft maps that can be propagated like masks, and back."""

import numpy as np


def joint_maps(joints: np.ndarray, size: tuple[float, float], cells: tuple[int, int], sigma: float = 0.5) -> np.ndarray:
    """A Gaussian of `sigma` cells around each joint (x, y) [joints,2] of a frame [H,W] = `size`: [joints,h,w] in [0,1].

    The corner pixels' centres are the corner cells', as in the propagation of masks. Where Gaussians overlap they
    share: the sum over the joints is at most 1, the rest is background.
    Source: Jabri et al., NeurIPS 2020, on JHMDB (sigma .5); here the centres are not rounded to whole cells.
    """
    height, width = cells
    x, y = joints[:, 0] * (width - 1) / max(size[1] - 1, 1), joints[:, 1] * (height - 1) / max(size[0] - 1, 1)
    across = (np.arange(width)[None, None, :] - x[:, None, None]) ** 2
    down = (np.arange(height)[None, :, None] - y[:, None, None]) ** 2
    maps = np.exp(-(across + down) / (2 * sigma**2))
    return maps / np.maximum(maps.sum(axis=0), 1)


def joints_of_maps(maps: np.ndarray, size: tuple[float, float], strongest: int = 5) -> np.ndarray:
    """Where each map [joints,h,w] points to in a frame [H,W] = `size`: (x, y) [joints,2]; NaN where a map is empty.

    That is the mean position of its strongest cells, weighted by their values, as in Jabri et al., NeurIPS 2020; how
    many cells (5) is as remembered of their release, not checked.
    """
    height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    cells = np.argsort(-flat, axis=1, kind="stable")[:, :strongest]
    weights = np.take_along_axis(flat, cells, axis=1)
    total = weights.sum(axis=1)
    weights = weights / np.where(total > 0, total, np.nan)[:, None]
    y, x = np.divmod(cells, width)
    scale = np.array([(size[1] - 1) / max(width - 1, 1), (size[0] - 1) / max(height - 1, 1)])
    return np.stack([(weights * x).sum(axis=1), (weights * y).sum(axis=1)], axis=1) * scale
