"""Joints as soft maps that can be propagated like masks, and back.

Two ways: `joint_maps` and `joints_of_maps` are ours and know places between cells;
`cell_joint_maps` and `joints_of_cell_maps` do what the programs behind published numbers on JHMDB
do.
"""

import numpy as np
import torch


def joint_maps(
    joints: np.ndarray, size: tuple[float, float], cells: tuple[int, int], sigma: float = 0.5
) -> np.ndarray:
    """A Gaussian of `sigma` cells around each joint (x, y) [joints,2] of a frame [H,W] = `size`:
    [joints,h,w] in [0,1].

    The corner pixels' centres are the corner cells', as in the propagation of masks. Where
    Gaussians overlap they share: the sum over the joints is at most 1, the rest is background.
    Source: Jabri et al., NeurIPS 2020, on JHMDB (sigma .5); here the centres are not rounded to
    whole cells.
    """
    height, width = cells
    x, y = (
        joints[:, 0] * (width - 1) / max(size[1] - 1, 1),
        joints[:, 1] * (height - 1) / max(size[0] - 1, 1),
    )
    across = (np.arange(width)[None, None, :] - x[:, None, None]) ** 2
    down = (np.arange(height)[None, :, None] - y[:, None, None]) ** 2
    maps = np.exp(-(across + down) / (2 * sigma**2))

    return maps / np.maximum(maps.sum(axis=0), 1)


def joints_of_maps(maps: np.ndarray, size: tuple[float, float], strongest: int = 5) -> np.ndarray:
    """Where each map [joints,h,w] points to in a frame [H,W] = `size`: (x, y) [joints,2]; NaN where
    a map is empty.

    That is the mean position of its strongest cells, weighted by their values, and finer than a
    cell: the corner cells are where the corner pixels are. See `joints_of_cell_maps` for what
    published numbers are read out with.
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


CELL_SIGMA = 0.5  # Of the Gaussian, in cells.
BEFORE, AFTER = 1.5, 2.5  # The window of 4x4 cells reaches so far from the joint.


def cell_joint_maps(
    joints: np.ndarray, size: tuple[int, int], cells: tuple[int, int]
) -> np.ndarray:
    """Background and joints on whole cells, as CRW and CropMAE give them to label propagation.

    A joint at pixel x of a frame W pixels wide lies at x * w / W of w cells (x / 8 in a frame
    resized to 320 pixels with 40 cells), and a Gaussian of half a cell, cut off at 4x4 cells,
    stands on the nearest cell. Numbers are cut towards zero, as there, which moves joints less than
    1.5 cells from the left and upper border one cell inwards. Each joint has a channel of its own,
    so Gaussians that overlap do not share.

    Args:
        joints: (x, y) in pixels from 0 on, [joints,2]. One outside the frame may have an empty map.
        size: [H,W] of the frame that the joints are of, whatever size it is encoded at.
        cells: [h,w] of the features.

    Returns:
        [1+joints,h,w] float64 in [0,1]: first the background, 1 in cells that no joint reaches,
        then the joints.

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
    """Gaussians [places,count] at places in cells along one axis; 0 outside of their windows of 4
    cells.
    """
    start, end = np.trunc(places - BEFORE)[:, None], np.trunc(places + AFTER)[:, None]
    cells = np.arange(count)
    bumps = np.exp(-((cells - start - 2) ** 2) / (2 * CELL_SIGMA**2))
    return np.where((cells >= start) & (cells < end), bumps, 0)


def joints_of_cell_maps(maps: np.ndarray, size: tuple[int, int], strongest: int = 3) -> np.ndarray:
    """Where the maps of joints point to, as CRW (3 strongest cells) and CropMAE (5) read them out.

    Args:
        maps: Of the joints, without background: [joints,h,w].
        size: [H,W] of the frame that the joints are wanted in.
        strongest: How many cells are averaged, weighted by their values.

    Returns:
        (x, y) in pixels, [joints,2]: the mean index of the cells times W / w and H / h. NaN, a lost
        joint, where a map is empty.

    Source: Jabri et al., NeurIPS 2020 (utils/test_utils.py and eval/eval_pck.py).
    """
    height, width = maps.shape[1:]
    flat = maps.reshape(len(maps), -1)
    # Cells tie often, since Gaussians are symmetric; torch decides which of them counts, as in
    # those programs.
    values, indices = torch.topk(torch.tensor(flat), min(strongest, flat.shape[1]), dim=1)
    weights, chosen = values.numpy(), indices.numpy()

    # A map is lost when all of it is empty; as its values are not negative, so are then its
    # strongest cells.
    total = weights.sum(axis=1, keepdims=True)
    weights = weights / np.where(total > 0, total, np.nan)
    rows, columns = np.divmod(chosen, width)
    x, y = (weights * columns).sum(axis=1), (weights * rows).sum(axis=1)

    return np.stack([x * size[1] / width, y * size[0] / height], axis=1)
