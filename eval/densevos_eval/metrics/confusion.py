"""Which classes pixels are taken for, counted over many frames: intersection over union and
accuracy of classes.
"""

import numpy as np


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Number of pixels [classes,classes] int64 of each class (row) that are predicted as each class
    (column).

    truth, prediction: class ids [H,W] uint8; those of `prediction` are below `classes`. Pixels of
    `truth` that are no class, such as void 255, do not count.
    """
    counted = truth < classes
    pairs = truth[counted].astype(np.int64) * classes + prediction[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(pixels: np.ndarray) -> np.ndarray:
    """Intersection over union [classes] from a confusion matrix; NaN for classes that neither side
    has.
    """
    intersection = np.diag(pixels)
    union = pixels.sum(axis=0) + pixels.sum(axis=1) - intersection
    return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)


def annotated_iou(pixels: np.ndarray) -> np.ndarray:
    """Intersection over union [classes]; NaN for classes that the annotations lack, predicted or
    not.
    """
    return np.where(pixels.sum(axis=1) > 0, class_iou(pixels), np.nan)


def class_accuracy(pixels: np.ndarray) -> np.ndarray:
    """Share [classes] of the pixels of each class that are found; NaN for classes that the
    annotations lack.
    """
    total = pixels.sum(axis=1)
    return np.where(total > 0, np.diag(pixels) / np.maximum(total, 1), np.nan)


def mean_iou(pixels: np.ndarray) -> float:
    """Mean of annotated_iou over the classes that the annotations have; NaN where they have none.

    A class that is predicted, but annotated nowhere, costs those that it is taken for; it is no
    term of the mean.
    """
    known = annotated_iou(pixels)[pixels.sum(axis=1) > 0]
    return float(known.mean()) if len(known) else float("nan")


def mean_accuracy(pixels: np.ndarray) -> float:
    """Mean of class_accuracy over the classes that the annotations have; NaN where they have
    none.
    """
    known = class_accuracy(pixels)[pixels.sum(axis=1) > 0]
    return float(known.mean()) if len(known) else float("nan")


def pixel_accuracy(pixels: np.ndarray) -> float:
    """Share of all pixels that are predicted as what they are; NaN where there are none."""
    return float(np.trace(pixels) / pixels.sum()) if pixels.any() else float("nan")
