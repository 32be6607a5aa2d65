"""Confusion matrices and what is made of them, against a loop, against scikit-learn, and by their
properties.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix, jaccard_score

from densevos_eval.metrics.confusion import (
    annotated_iou,
    class_accuracy,
    class_iou,
    confusion,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)

VOID = 255


def masks(
    seed: int, classes: int, *, void: float = 0.2, shape: tuple[int, int] = (13, 17)
) -> tuple[np.ndarray, ...]:
    """Truth with some void, and a prediction that is right in about half of the pixels."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, shape).astype(np.uint8)
    prediction = np.where(rng.random(shape) < 0.5, truth, rng.integers(0, classes, shape)).astype(
        np.uint8
    )
    return np.where(rng.random(shape) < void, VOID, truth).astype(np.uint8), prediction


def by_a_loop(
    truth: np.ndarray, prediction: np.ndarray, classes: int
) -> tuple[np.ndarray, list[float]]:
    """The confusion matrix pixel by pixel, and IoU of each class from sets of pixels."""
    pixels = np.zeros((classes, classes), int)
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if t != VOID:
            pixels[t, p] += 1
    counted = truth != VOID
    shares = []
    for k in range(classes):
        both = np.sum((truth == k) & (prediction == k) & counted)
        either = np.sum(((truth == k) | (prediction == k)) & counted)
        shares.append(float(both / either) if either else float("nan"))
    return pixels, shares


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 10_000), classes=st.integers(1, 12))
def test_equals_a_loop_over_pixels(seed: int, classes: int) -> None:
    truth, prediction = masks(seed, classes)
    pixels, shares = by_a_loop(truth, prediction, classes)
    np.testing.assert_array_equal(confusion(truth, prediction, classes), pixels)
    np.testing.assert_allclose(class_iou(pixels), shares, rtol=1e-15)


@pytest.mark.parametrize("classes", [2, 11, 21, 150])
def test_equals_scikit_learn(classes: int) -> None:
    truth, prediction = masks(classes, classes, shape=(90, 120))
    counted, labels = truth != VOID, np.arange(classes)
    pixels = confusion(truth, prediction, classes)
    np.testing.assert_array_equal(
        pixels, confusion_matrix(truth[counted], prediction[counted], labels=labels)
    )
    each = jaccard_score(truth[counted], prediction[counted], labels=labels, average=None)
    np.testing.assert_allclose(class_iou(pixels), each, rtol=1e-14)
    assert mean_iou(pixels) == pytest.approx(each.mean(), rel=1e-14)
    found = balanced_accuracy_score(truth[counted], prediction[counted])
    assert mean_accuracy(pixels) == pytest.approx(found, rel=1e-14)
    assert pixel_accuracy(pixels) == pytest.approx(
        accuracy_score(truth[counted], prediction[counted]), rel=1e-14
    )


def test_the_mean_is_over_the_classes_that_are_annotated() -> None:
    """Class 2 is predicted and nowhere annotated: scikit-learn says the same when it is asked for
    classes 0 and 1.
    """
    truth = np.array([[0, 0, 0, 1, 1, 1]], np.uint8)
    prediction = np.array([[0, 0, 2, 1, 1, 0]], np.uint8)
    pixels = confusion(truth, prediction, 4)
    np.testing.assert_allclose(class_iou(pixels), [0.5, 2 / 3, 0, np.nan])
    np.testing.assert_allclose(annotated_iou(pixels), [0.5, 2 / 3, np.nan, np.nan])
    np.testing.assert_allclose(class_accuracy(pixels), [2 / 3, 2 / 3, np.nan, np.nan])
    assert mean_iou(pixels) == pytest.approx(
        jaccard_score(truth.ravel(), prediction.ravel(), labels=[0, 1], average="macro")
    )
    assert mean_accuracy(pixels) == pytest.approx(2 / 3)


def test_nothing_annotated_has_no_numbers() -> None:
    pixels = confusion(np.full((3, 4), VOID, np.uint8), np.zeros((3, 4), np.uint8), 3)
    assert pixels.sum() == 0
    assert np.isnan(mean_iou(pixels))
    assert np.isnan(mean_accuracy(pixels))
    assert np.isnan(pixel_accuracy(pixels))


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 8))
def test_names_of_classes_do_not_matter(seed: int, classes: int) -> None:
    """A permutation of the ids permutes the matrix and the shares, and leaves the means."""
    truth, prediction = masks(seed, classes)
    order = np.random.default_rng(seed).permutation(classes)
    table = np.append(order, np.full(256 - classes, VOID)).astype(np.uint8)
    pixels, renamed = (
        confusion(truth, prediction, classes),
        confusion(table[truth], table[prediction], classes),
    )
    np.testing.assert_array_equal(renamed[np.ix_(order, order)], pixels)
    np.testing.assert_allclose(class_iou(renamed)[order], class_iou(pixels))
    assert mean_iou(renamed) == pytest.approx(mean_iou(pixels), nan_ok=True)
    assert pixel_accuracy(renamed) == pytest.approx(pixel_accuracy(pixels), nan_ok=True)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), classes=st.integers(1, 8))
def test_what_lies_under_void_does_not_matter(seed: int, classes: int) -> None:
    truth, prediction = masks(seed, classes, void=0.4)
    other = np.random.default_rng(seed + 1).integers(0, classes, truth.shape).astype(np.uint8)
    changed = np.where(truth == VOID, other, prediction)
    np.testing.assert_array_equal(
        confusion(truth, changed, classes), confusion(truth, prediction, classes)
    )


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), classes=st.integers(1, 8))
def test_a_perfect_mask_scores_one_and_frames_add_up(seed: int, classes: int) -> None:
    truth, prediction = masks(seed, classes)
    perfect = confusion(truth, np.where(truth == VOID, 0, truth), classes)
    assert mean_iou(perfect) == pixel_accuracy(perfect) == 1
    halves = confusion(truth[:6], prediction[:6], classes) + confusion(
        truth[6:], prediction[6:], classes
    )
    np.testing.assert_array_equal(halves, confusion(truth, prediction, classes))
