"""How much masks overlap, and which of overlapping ones to keep.

Shapes: N, M masks of H x W pixels.
"""

import math

import numpy as np


def pairwise_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Intersection over union of every mask of one stack with every mask of another.

    Args:
        first: Masks [N,H,W] bool.
        second: Masks [M,H,W] bool.

    Returns:
        IoU [N,M] float32 in 0..1; 0 where both masks are empty.
    """
    # A product of matrices counts the shared pixels of all pairs at once; float32 counts exactly up to 2^24 pixels.
    flat_first = first.reshape(len(first), math.prod(first.shape[1:])).astype(np.float32)
    flat_second = second.reshape(len(second), math.prod(second.shape[1:])).astype(np.float32)
    shared = flat_first @ flat_second.T

    union = flat_first.sum(1)[:, None] + flat_second.sum(1)[None, :] - shared
    return shared / np.maximum(union, 1)


def non_overlapping(masks: np.ndarray, scores: np.ndarray, most: float) -> list[int]:
    """Non-maximum suppression of masks: of two that overlap too much, the one with the higher score stays.

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
