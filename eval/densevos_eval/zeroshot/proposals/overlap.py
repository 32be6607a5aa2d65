"""Computes how much masks overlap, and which of overlapping masks to keep."""

# Shapes: N and M masks of H x W pixels.

import math

import numpy as np

BLOCK = 1 << 18
"""Number of pixels of each mask that are in memory as float32 at once."""


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compute the intersection over union of every mask of one stack with every one of another.

    Args:
        first: masks [N,H,W] bool.
        second: masks [M,H,W] bool.

    Returns:
        IoU [N,M] float32 in 0..1; 0 if both masks are empty.
    """
    pixels = math.prod(first.shape[1:])
    flat_first = first.reshape(len(first), pixels)
    flat_second = second.reshape(len(second), pixels)
    shared = np.zeros((len(first), len(second)), np.float32)

    # In blocks, because a hundred masks of a large frame would take gigabytes as float32. A product
    # of matrices counts the shared pixels of all pairs at once. float32 counts exactly up to 2^24.
    for start in range(0, pixels, BLOCK):
        block = slice(start, start + BLOCK)
        block_first = flat_first[:, block].astype(np.float32)
        block_second = flat_second[:, block].astype(np.float32)
        shared += block_first @ block_second.T

    areas_first = flat_first.sum(1, dtype=np.float32)
    areas_second = flat_second.sum(1, dtype=np.float32)
    union = areas_first[:, None] + areas_second[None, :] - shared

    # Two empty masks have a union of 0.
    ratio: np.ndarray = shared / np.maximum(union, 1)
    return ratio


def non_overlapping(masks: np.ndarray, scores: np.ndarray, most: float) -> list[int]:
    """Suppress masks that overlap one with a higher score (non-maximum suppression).

    Args:
        masks: [N,H,W] bool.
        scores: [N]; of equal scores the first counts as higher.
        most: highest IoU of two masks that are both kept.

    Returns:
        Indices of the masks that are kept, highest score first.
    """
    iou = pairwise_iou(masks, masks)
    kept: list[int] = []
    for index in np.argsort(-np.asarray(scores), kind="stable").tolist():
        if not (iou[index, kept] > most).any():
            kept.append(index)

    return kept


def stacked(masks: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Stack masks [H,W] bool of size `size` to [N,H,W] bool, also if there are none."""
    if not masks:
        return np.zeros((0, size[0], size[1]), bool)

    return np.stack(masks)
