"""How much masks overlap, and which of overlapping ones to keep.

Shapes: N, M masks of H x W pixels.
"""

import math

import numpy as np

BLOCK = 1 << 18
"""Pixels of each mask that are in memory as numbers at once."""


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every mask of one stack with every mask of another.

    Args:
        first: Masks [N,H,W] bool.
        second: Masks [M,H,W] bool.

    Returns:
        IoU [N,M] float32 in 0..1; 0 where both masks are empty.
    """
    pixels = math.prod(first.shape[1:])
    flat_first, flat_second = first.reshape(len(first), pixels), second.reshape(len(second), pixels)
    shared = np.zeros((len(first), len(second)), np.float32)

    # Blocks, because as float32 a hundred masks of a large frame would take gigabytes. A product of
    # matrices counts the shared pixels of all pairs at once; float32 counts exactly up to 2^24
    # pixels.
    for start in range(0, pixels, BLOCK):
        block = slice(start, start + BLOCK)
        shared += (
            flat_first[:, block].astype(np.float32) @ flat_second[:, block].astype(np.float32).T
        )

    union = (
        flat_first.sum(1, dtype=np.float32)[:, None]
        + flat_second.sum(1, dtype=np.float32)[None, :]
        - shared
    )

    return shared / np.maximum(union, 1)


def non_overlapping(masks: np.ndarray, scores: np.ndarray, most: float) -> list[int]:
    """Non-maximum suppression of masks: of two that overlap too much, the one with the higher score
    stays.

    Args:
        masks: Masks [N,H,W] bool.
        scores: Scores [N]; of equal ones the first stays.
        most: Highest IoU that two masks which both stay may have.

    Returns:
        Indices of the masks that stay, highest score first.
    """
    iou = pairwise_iou(masks, masks)
    stay: list[int] = []
    for index in np.argsort(-np.asarray(scores), kind="stable").tolist():
        if not (iou[index, stay] > most).any():
            stay.append(index)

    return stay


def stacked(masks: list[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Masks [H,W] bool of one size as one array [N,H,W] bool, also where there are none."""
    return np.stack(masks) if masks else np.zeros((0, *size), bool)
