"""J, F, statistics and matching against golden values and against plain formulations."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.ndimage import binary_dilation

from densevos_eval.metrics.boundary import contour_accuracy, rectangles, tolerance
from densevos_eval.metrics.matching import best_assignment, same_id, without_void
from densevos_eval.metrics.outlines import outlines
from densevos_eval.metrics.region import region_similarity
from densevos_eval.metrics.statistics import statistics

quick = settings(max_examples=60, deadline=None)
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def two_masks(draw: st.DrawFn, objects: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Two id maps of one size: noise, or rectangles that may overlap, be empty or fill the
    image.
    """
    height, width = draw(shapes)
    if draw(st.booleans()):
        noise = arrays(np.uint8, (height, width), elements=st.integers(0, objects))
        return draw(noise), draw(noise)
    masks = np.zeros((2, height, width), np.uint8)
    for mask in masks:
        for id in range(1, objects + 1):
            top, bottom = sorted((draw(st.integers(0, height)), draw(st.integers(0, height))))
            left, right = sorted((draw(st.integers(0, width)), draw(st.integers(0, width))))
            mask[top:bottom, left:right] = id
    return masks[0], masks[1]


def plain_region_similarity(truth: np.ndarray, prediction: np.ndarray) -> float:
    union = (truth | prediction).sum()
    return (truth & prediction).sum() / union if union else 1.0


def plain_boundary(mask: np.ndarray) -> np.ndarray:
    """The pixel loop behind the toolbox's outline, with its rules for the last row and column."""
    height, width = mask.shape
    outline = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            neighbours = [(y, x + 1), (y + 1, x), (y + 1, x + 1)]
            if y == height - 1:
                neighbours = [(y, x + 1)]
            if x == width - 1:
                neighbours = [(y + 1, x)]
            if y == height - 1 and x == width - 1:
                neighbours = []
            outline[y, x] = any(mask[y, x] != mask[p] for p in neighbours)
    return outline


def plain_contour_accuracy(truth: np.ndarray, prediction: np.ndarray) -> float:
    radius = math.ceil(0.008 * math.sqrt(truth.shape[0] ** 2 + truth.shape[1] ** 2))
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    footprint = x**2 + y**2 <= radius**2
    wanted, found = plain_boundary(truth), plain_boundary(prediction)
    if not wanted.any() or not found.any():
        return float(not wanted.any() and not found.any())
    precision = (found & binary_dilation(wanted, footprint)).sum() / found.sum()
    recall = (wanted & binary_dilation(found, footprint)).sum() / wanted.sum()
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_golden_values_per_object_and_frame(golden: Path, case: str) -> None:
    values = np.load(golden / "davis_metrics.npz")
    region, contour = score_video(values[f"{case}_gt"], values[f"{case}_pred"])
    for letter, scores in (("J", region), ("F", contour)):
        own = scores[np.arange(len(scores)), same_id(region, contour)]
        np.testing.assert_allclose(own, values[f"{case}_{letter}"], rtol=0, atol=1e-9)
        numbers = [(s.mean, s.recall, s.decay) for s in map(statistics, own)]
        np.testing.assert_allclose(
            numbers, values[f"{case}_{letter}_mean_recall_decay"], rtol=0, atol=1e-9
        )


@pytest.mark.parametrize("case", ["a", "b", "c"])
def test_golden_values_of_unsupervised_matching_with_void(golden: Path, case: str) -> None:
    values = np.load(golden / "davis_metrics.npz")
    truth, prediction, void = (
        values[f"{case}_{key}"] for key in ("gt", "unsup_pred", "unsup_void")
    )
    region, contour = score_video(*without_void(truth, prediction, void))
    chosen = best_assignment(region, contour)
    # The golden rows are in the order of the proposals, ours in that of the objects.
    for letter, scores in (("J", region), ("F", contour)):
        by_proposal = scores[np.arange(len(scores)), chosen][np.argsort(chosen)]
        np.testing.assert_allclose(by_proposal, values[f"{case}_unsup_{letter}"], rtol=0, atol=1e-9)


def score_video(truth: np.ndarray, prediction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """J and F [objects,proposals,frames] of masks [frames,H,W]."""
    objects, proposals = int(truth[0].max()), max(int(truth[0].max()), int(prediction.max()))
    pairs = list(zip(truth, prediction, strict=True))
    region = [region_similarity(t, p, objects, proposals) for t, p in pairs]
    contour = [contour_accuracy(t, p, objects, proposals) for t, p in pairs]
    return np.stack(region, axis=2), np.stack(contour, axis=2)


@quick
@given(two_masks())
def test_every_pair_equals_the_plain_formulation(masks: tuple[np.ndarray, np.ndarray]) -> None:
    truth, prediction = masks
    region, contour = (
        region_similarity(truth, prediction, 3, 3),
        contour_accuracy(truth, prediction, 3, 3),
    )
    for i in range(3):
        for k in range(3):
            pair = truth == i + 1, prediction == k + 1
            assert region[i, k] == plain_region_similarity(*pair)
            assert contour[i, k] == pytest.approx(plain_contour_accuracy(*pair), abs=1e-12)


def test_large_frame_equals_the_plain_formulation_at_every_border() -> None:
    truth, prediction = np.zeros((2, 150, 400), np.uint8)
    truth[:30, :50], truth[120:, 370:], truth[40:90, 100:200] = 1, 1, 2
    prediction[:33, :41], prediction[112:, 372:], prediction[42:99, 92:203] = 1, 1, 2
    contour = contour_accuracy(truth, prediction, 2, 2)
    for i in range(2):
        assert contour[i, i] == pytest.approx(
            plain_contour_accuracy(truth == i + 1, prediction == i + 1), abs=1e-12
        )
        assert 0.2 < contour[i, i] < 0.9


@quick
@given(two_masks())
def test_scores_are_symmetric_and_between_zero_and_one(
    masks: tuple[np.ndarray, np.ndarray],
) -> None:
    for score in (region_similarity, contour_accuracy):
        forward, backward = score(masks[0], masks[1], 3, 3), score(masks[1], masks[0], 3, 3)
        np.testing.assert_allclose(forward, backward.T, rtol=0, atol=1e-15)
        assert forward.min() >= 0
        assert forward.max() <= 1


@quick
@given(two_masks())
def test_a_mask_scores_one_against_itself_whatever_its_ids(
    masks: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, _ = masks
    assert np.all(np.diag(region_similarity(truth, truth, 3, 3)) == 1)
    assert np.all(np.diag(contour_accuracy(truth, truth, 3, 3)) == 1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (9, 1), (33, 17)])
def test_empty_masks(shape: tuple[int, int]) -> None:
    empty, full = np.zeros(shape, np.uint8), np.ones(shape, np.uint8)
    for score in (region_similarity, contour_accuracy):
        assert score(empty, empty, 1, 1) == 1
        assert score(full, full, 1, 1) == 1
    assert region_similarity(full, empty, 1, 1) == 0
    assert region_similarity(empty, full, 1, 1) == 0


def test_outline_against_none_scores_zero() -> None:
    empty, square = np.zeros((2, 20, 20), np.uint8)
    square[5:9, 5:9] = 1
    assert contour_accuracy(square, empty, 1, 1) == 0
    assert contour_accuracy(empty, square, 1, 1) == 0


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 9999), st.tuples(st.integers(1, 60), st.integers(1, 90)))
def test_twenty_objects_equal_the_plain_formulation(seed: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    truth, prediction = np.zeros((2, *shape), np.uint8)
    for mask in (truth, prediction):
        for id in rng.permutation(20) + 1:
            top, left = rng.integers(0, shape)
            mask[top : top + rng.integers(1, 30), left : left + rng.integers(1, 30)] = id
    region, contour = (
        region_similarity(truth, prediction, 20, 20),
        contour_accuracy(truth, prediction, 20, 20),
    )
    for i, k in [(0, 0), (7, 7), (19, 19), *rng.integers(0, 20, (6, 2))]:
        pair = truth == i + 1, prediction == k + 1
        assert region[i, k] == plain_region_similarity(*pair)
        assert contour[i, k] == pytest.approx(plain_contour_accuracy(*pair), abs=1e-12)


def test_void_everywhere_leaves_nothing_to_get_wrong() -> None:
    truth, prediction = np.full((12, 9), 1, np.uint8), np.full((12, 9), 2, np.uint8)
    left, right = without_void(truth, prediction, np.ones((12, 9), bool))
    assert np.all(region_similarity(left, right, 2, 2) == 1)
    assert np.all(contour_accuracy(left, right, 2, 2) == 1)


def test_more_than_255_pairs_of_ids_do_not_overflow() -> None:
    ids = np.arange(256, dtype=np.uint8).repeat(9).reshape(48, 48)
    np.testing.assert_array_equal(region_similarity(ids, ids, 255, 255), np.eye(255))


@quick
@given(two_masks())
def test_outlines_equal_the_pixel_loop(masks: tuple[np.ndarray, np.ndarray]) -> None:
    found = outlines(masks[0], 3)
    for i in range(3):
        outline = np.zeros(masks[0].shape, bool)
        outline[found.rows[found.owner == i], found.columns[found.owner == i]] = True
        np.testing.assert_array_equal(outline, plain_boundary(masks[0] == i + 1))


@pytest.mark.parametrize("radius", [1, 2, 3, 8, 13, 36])
def test_rectangles_make_up_the_disk(radius: int) -> None:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    union = np.zeros(y.shape, bool)
    for half_height, half_width in rectangles(radius):
        union |= (abs(y) <= half_height) & (abs(x) <= half_width)
    np.testing.assert_array_equal(union, y**2 + x**2 <= radius**2)


def test_tolerance_is_eight_pixels_at_davis_size() -> None:
    assert tolerance((480, 854)) == 8
    assert tolerance((1, 1)) == 1


def test_decay_of_long_videos_uses_whole_numbers() -> None:
    falling = np.linspace(1, 0, 1001)
    assert statistics(falling).decay == pytest.approx(0.75)
    assert statistics(falling).recall == pytest.approx(500 / 1001)


def test_decay_with_eight_bits_wraps_as_in_the_toolbox() -> None:
    for frames in (5, 100, 256):
        falling = np.linspace(1, 0, frames)
        assert statistics(falling, decay_uint8=True) == statistics(falling)
    ramp = np.arange(500.0)
    # Quarters end at 0, 125, 249, 374, 499: the last is taken from 374-256 to 499-256.
    assert statistics(ramp, decay_uint8=True).decay == np.mean(ramp[:126]) - np.mean(ramp[118:244])
    assert math.isnan(statistics(np.arange(300.0), decay_uint8=True).decay)  # from 224 to 299-256


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_statistics_of_short_videos_are_finite(frames: int) -> None:
    numbers = statistics(np.full(frames, 0.6))
    assert (numbers.mean, numbers.recall, numbers.decay) == pytest.approx((0.6, 1.0, 0.0))


@given(st.permutations(range(4)))
@quick
def test_assignment_finds_any_renumbering(order: list[int]) -> None:
    scores = np.full((3, 4, 5), 0.2)
    for i in range(3):
        scores[i, order[i]] = 0.9
    assert best_assignment(scores, scores).tolist() == order[:3]
