"""Joints become soft maps, which are propagated like masks, and maps become joints.

There are two ways. `joint_maps` and `joints_of_maps` are our own and keep places between cells.
`cell_joint_maps` and `joints_of_cell_maps` do the same as the programs behind published numbers on
JHMDB.
"""

# Shapes: H x W pixels of a frame, h x w cells of the feature map. A joint is (x, y) in pixels.

import numpy as np
import torch


def joint_maps(
    joints: np.ndarray, size: tuple[float, float], cells: tuple[int, int], sigma: float = 0.5
) -> np.ndarray:
    """A Gaussian around each joint.

    The centres of the corner pixels are those of the corner cells, as in the propagation of masks.
    Gaussians that overlap share: the sum over the joints is at most 1. What is missing to 1 is
    background.

    Args:
        joints: (x, y) in pixels, [joints,2].
        size: [H,W] of the frame.
        cells: [h,w] of the features.
        sigma: Of the Gaussian, in cells.

    Returns:
        Maps [joints,h,w] in [0,1].

    Source: Jabri et al., NeurIPS 2020, on JHMDB (sigma .5). Unlike there, the centres are not
        rounded to whole cells.
    """
    height, width = cells
    x = joints[:, 0] * (width - 1) / max(size[1] - 1, 1)
    y = joints[:, 1] * (height - 1) / max(size[0] - 1, 1)
    # [joints,1,w] and [joints,h,1], which add up to squared distances [joints,h,w].
    across = (np.arange(width)[None, None, :] - x[:, None, None]) ** 2
    down = (np.arange(height)[None, :, None] - y[:, None, None]) ** 2
    maps = np.exp(-(across + down) / (2 * sigma**2))

    normalised: np.ndarray = maps / np.maximum(maps.sum(axis=0), 1)
    return normalised


def joints_of_maps(maps: np.ndarray, size: tuple[float, float], strongest: int = 5) -> np.ndarray:
    """Read a joint out of each map, as `joint_maps` draws them.

    A joint is the mean position of the strongest cells, weighted by their values, so it may lie
    between cells. Published numbers use `joints_of_cell_maps` instead.

    Args:
        maps: Maps of the joints, without background, [joints,h,w].
        size: [H,W] of the frame.
        strongest: Number of cells that are averaged.

    Returns:
        (x, y) in pixels, [joints,2]; NaN, a lost joint, if a map is empty.
    """
    height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    # A stable order takes the first of equal cells, row by row.
    cells = np.argsort(-flat, axis=1, kind="stable")[:, :strongest]
    weights = np.take_along_axis(flat, cells, axis=1)
    total = weights.sum(axis=1)
    # An empty map is divided by NaN, which marks the joint as lost.
    weights = weights / np.where(total > 0, total, np.nan)[:, None]
    y, x = np.divmod(cells, width)

    # The corner cells lie at the corner pixels.
    scale = np.array([(size[1] - 1) / max(width - 1, 1), (size[0] - 1) / max(height - 1, 1)])

    joints: np.ndarray = (
        np.stack([(weights * x).sum(axis=1), (weights * y).sum(axis=1)], axis=1) * scale
    )
    return joints


CELL_SIGMA = 0.5
"""Sigma of the Gaussian in cells."""

BEFORE, AFTER = 1.5, 2.5
"""How far the window of 4x4 cells reaches to both sides of the joint, in cells."""


def cell_joint_maps(
    joints: np.ndarray, size: tuple[int, int], cells: tuple[int, int]
) -> np.ndarray:
    """Maps of background and joints on whole cells, as in CRW and CropMAE.

    A joint at pixel x of a frame W pixels wide lies at x * w / W of w cells (x / 8 in a frame
    resized to 320 pixels with 40 cells). A Gaussian of half a cell, cut off at 4x4 cells, stands on
    the nearest cell. Numbers are cut towards zero, as in those programs, which moves joints less
    than 1.5 cells from the left and upper border one cell inwards. Each joint has a channel of its
    own, so Gaussians that overlap do not share.

    Args:
        joints: (x, y) in pixels from 0 on, [joints,2]. A joint outside the frame may have an empty
            map.
        size: [H,W] of the frame of the joints, whatever size it is encoded at.
        cells: [h,w] of the features.

    Returns:
        [1+joints,h,w] float64 in [0,1]: first the background, which is 1 in cells that no joint
        reaches, then the joints.

    Source: Jabri et al., Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020
        (data/jhmdb.py).
    """
    height, width = cells
    across = _bumps(joints[:, 0] * width / size[1], width)
    down = _bumps(joints[:, 1] * height / size[0], height)
    maps = down[:, :, None] * across[:, None, :]
    background = maps.sum(axis=0, keepdims=True) == 0

    return np.concatenate([background, maps])


def _bumps(places: np.ndarray, count: int) -> np.ndarray:
    """Gaussians [places,count] along one axis; 0 outside their windows of 4 cells."""
    start, end = np.trunc(places - BEFORE)[:, None], np.trunc(places + AFTER)[:, None]
    cells = np.arange(count)
    # The peak lies on the third of the four cells.
    bumps = np.exp(-((cells - start - 2) ** 2) / (2 * CELL_SIGMA**2))
    return np.where((cells >= start) & (cells < end), bumps, 0)


def joints_of_cell_maps(maps: np.ndarray, size: tuple[int, int], strongest: int = 3) -> np.ndarray:
    """Read a joint out of each map, as CRW (3 strongest cells) and CropMAE (5) do.

    Args:
        maps: Maps of the joints, without background, [joints,h,w].
        size: [H,W] of the frame.
        strongest: Number of cells that are averaged, weighted by their values.

    Returns:
        (x, y) in pixels, [joints,2]: the mean index of the cells times W / w and H / h. NaN, a lost
        joint, if a map is empty.

    Source: Jabri et al., NeurIPS 2020 (utils/test_utils.py and eval/eval_pck.py).
    """
    height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)

    # Gaussians are symmetric, so cells are often equal. torch decides which of them count, as in
    # those programs; NumPy would choose others.
    values, indices = torch.topk(torch.tensor(flat), min(strongest, flat.shape[1]), dim=1)
    weights, chosen = values.numpy(), indices.numpy()

    # Values are not negative, so a map is empty if its strongest cells are 0.
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total > 0, total, np.nan)
    rows, columns = np.divmod(chosen, width)
    x, y = (weights * columns).sum(axis=1), (weights * rows).sum(axis=1)

    return np.stack([x * size[1] / width, y * size[0] / height], axis=1)
