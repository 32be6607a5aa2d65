"""The short ways to J and F give the numbers of the long ones, to the last bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densevos_eval.metrics import own_boundary
from densevos_eval.metrics.boundary import contour_accuracy
from densevos_eval.metrics.own_boundary import own_contour_accuracy
from densevos_eval.metrics.pixels import occupied_rows, true_places
from densevos_eval.metrics.region import region_similarity
from tests.eval.metrics.test_metrics import plain_contour_accuracy

some = settings(max_examples=60, deadline=None)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    """Truth and prediction [H,W] of blocks, shifted against one another, and the number of
    objects.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    height, width, objects = (
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 6)),
    )
    block = draw(st.integers(1, 7))
    coarse = rng.integers(0, objects + 1, (height // block + 1, width // block + 1))
    coarse[rng.random(coarse.shape) < draw(st.sampled_from([0, 0.5, 0.9]))] = 0
    truth = np.kron(coarse, np.ones((block, block), int))[:height, :width].astype(np.uint8)
    prediction = np.roll(truth, draw(st.tuples(st.integers(-5, 5), st.integers(-5, 5))), (0, 1))
    for mask in (truth, prediction):
        mask[np.isin(mask, rng.choice(objects + 1, draw(st.integers(0, 2))))] = 0
    return truth, prediction, objects


@some
@given(pairs(), st.integers(0, 9))
def test_own_contours_are_the_diagonal_of_all(
    pair: tuple[np.ndarray, np.ndarray, int], radius: int
) -> None:
    truth, prediction, objects = pair
    expected = np.diagonal(contour_accuracy(truth, prediction, objects, objects, radius))
    np.testing.assert_array_equal(
        own_contour_accuracy(truth, prediction, objects, radius), expected
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(own_boundary, "MOST_PIXELS", 0)  # As for windows that are too large together.
        np.testing.assert_array_equal(
            own_contour_accuracy(truth, prediction, objects, radius), expected
        )


@some
@given(pairs())
def test_own_contours_are_those_of_the_definition(pair: tuple[np.ndarray, np.ndarray, int]) -> None:
    truth, prediction, objects = pair
    scores = own_contour_accuracy(truth, prediction, objects)
    expected = [plain_contour_accuracy(truth == i, prediction == i) for i in range(1, objects + 1)]
    assert scores.tolist() == pytest.approx(expected, abs=1e-12)


@some
@given(pairs())
def test_ids_beyond_the_objects_are_none_of_them(pair: tuple[np.ndarray, np.ndarray, int]) -> None:
    truth, prediction, objects = pair
    fewer = objects - 1
    expected = own_contour_accuracy(
        np.where(truth > fewer, 0, truth), np.where(prediction > fewer, 0, prediction), fewer
    )
    np.testing.assert_array_equal(own_contour_accuracy(truth, prediction, fewer), expected)


@some
@given(pairs(), st.integers(0, 5), st.integers(0, 5), st.integers(0, 5))
def test_rows_without_anything_change_nothing(
    pair: tuple[np.ndarray, np.ndarray, int], above: int, below: int, radius: int
) -> None:
    truth, prediction, objects = pair
    truth, prediction = (np.pad(mask, ((above, below), (0, 0))) for mask in (truth, prediction))
    rows = occupied_rows(truth, prediction)
    outside = np.ones(len(truth), bool)
    outside[rows] = False
    assert not truth[outside].any()
    assert not prediction[outside].any()
    assert len(truth[rows])

    whole, part = ((truth, prediction), (truth[rows], prediction[rows]))
    np.testing.assert_array_equal(
        *(region_similarity(*masks, objects, objects) for masks in (whole, part))
    )
    np.testing.assert_array_equal(
        *(own_contour_accuracy(*masks, objects, radius) for masks in (whole, part))
    )
    np.testing.assert_array_equal(
        *(contour_accuracy(*masks, objects, objects, radius) for masks in (whole, part))
    )


@given(st.lists(st.booleans(), max_size=40))
def test_places_of_what_is_true(flags: list[bool]) -> None:
    array = np.array(flags, bool)
    np.testing.assert_array_equal(true_places(array), np.flatnonzero(array))


def test_many_objects_in_one_frame() -> None:
    truth = np.arange(1, 256, dtype=np.uint8).reshape(15, 17).repeat(3, axis=0).repeat(2, axis=1)
    prediction = np.roll(truth, 1, axis=1)
    expected = np.diagonal(contour_accuracy(truth, prediction, 255, 255, 1))
    np.testing.assert_array_equal(own_contour_accuracy(truth, prediction, 255, 1), expected)
