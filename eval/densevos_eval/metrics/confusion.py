"""Confusion matrices of classes, and the IoU and accuracies that follow from them.

Shapes: H x W pixels, K classes. Rows of a confusion matrix are the annotated classes, columns the
predicted classes.
"""

import numpy as np


def confusion(truth: np.ndarray, prediction: np.ndarray, classes: int) -> np.ndarray:
    """Count how many pixels of each class are predicted as each class.

    Args:
        truth: Class ids [H,W] uint8. Pixels whose id is no class, such as void (255), do not count.
        prediction: Class ids [H,W] uint8, all below `classes`.
        classes: Number of classes K.

    Returns:
        Confusion matrix [K,K] int64.
    """
    # Void (255) lies above all class ids, so one comparison leaves it out too.
    counted = truth < classes
    # One number for each pair of classes.
    pairs = truth[counted].astype(np.int64) * classes + prediction[counted]
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def class_iou(pixels: np.ndarray) -> np.ndarray:
    """Intersection over union [K]; NaN for classes that neither side has.

    Args:
        pixels: Confusion matrix [K,K].
    """
    # Both sums contain the intersection, so one of them must lose it.
    intersection = np.diag(pixels)
    union = pixels.sum(axis=0) + pixels.sum(axis=1) - intersection
    return np.where(union > 0, intersection / np.maximum(union, 1), np.nan)


def annotated_iou(pixels: np.ndarray) -> np.ndarray:
    """Intersection over union [K]; NaN for classes that the annotations lack, even if predicted.

    Args:
        pixels: Confusion matrix [K,K].
    """
    # A class that is only predicted has a union and an IoU of 0, which would lower the mean.
    return np.where(pixels.sum(axis=1) > 0, class_iou(pixels), np.nan)


def class_accuracy(pixels: np.ndarray) -> np.ndarray:
    """Share [K] of the pixels of each class that are predicted as it.

    Args:
        pixels: Confusion matrix [K,K].

    Returns:
        [K] float64; NaN for classes that the annotations lack.
    """
    total = pixels.sum(axis=1)
    return np.where(total > 0, np.diag(pixels) / np.maximum(total, 1), np.nan)


def mean_iou(pixels: np.ndarray) -> float:
    """Mean of annotated_iou over the classes that the annotations have; NaN if they have none.

    A class that is predicted but never annotated is no term of the mean. It lowers the IoU of the
    classes whose pixels are predicted as it.

    Args:
        pixels: Confusion matrix [K,K].
    """
    scores = annotated_iou(pixels)[pixels.sum(axis=1) > 0]
    return float(scores.mean()) if len(scores) else float("nan")


def mean_accuracy(pixels: np.ndarray) -> float:
    """Mean of class_accuracy over the classes that the annotations have; NaN if they have none.

    Args:
        pixels: Confusion matrix [K,K].
    """
    scores = class_accuracy(pixels)[pixels.sum(axis=1) > 0]
    return float(scores.mean()) if len(scores) else float("nan")


def pixel_accuracy(pixels: np.ndarray) -> float:
    """Share of all pixels that are predicted as their annotated class; NaN without pixels.

    Args:
        pixels: Confusion matrix [K,K].
    """
    return float(np.trace(pixels) / pixels.sum()) if pixels.any() else float("nan")
