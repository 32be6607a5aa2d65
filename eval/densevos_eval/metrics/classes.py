"""Mean intersection over union of classes, counted over many frames."""

import numpy as np


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Number of pixels [classes,classes] int64 of each class (row) that are predicted as each class (column).

    truth, prediction: class ids [H,W] uint8; pixels of `truth` that are no class, such as void 255, do not count.
    """
    counted = truth < classes
    pairs = truth[counted].astype(np.int64) * classes + prediction[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(pixels: np.ndarray) -> np.ndarray:
    """Intersection over union [classes] from a confusion matrix; NaN for classes that neither side has."""
    intersection = np.diag(pixels)
    union = pixels.sum(axis=0) + pixels.sum(axis=1) - intersection
    return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)
