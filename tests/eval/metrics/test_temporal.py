"""Temporal stability T against golden values of the DAVIS-2016 toolbox and against plain
formulations.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from densevos_eval.metrics.temporal import (
    alignment,
    cheapest_path,
    outlines,
    polygon,
    resampled,
    shape_context,
    simplified,
    temporal_stability,
)

quick = settings(max_examples=50, deadline=None)
masks = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9)))
Y, X = np.mgrid[:200, :300]


def disk(y: int, x: int, radius: int) -> np.ndarray:
    return (Y - y) ** 2 + (X - x) ** 2 <= radius**2


def rectangle(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    return (top <= Y) & (bottom > Y) & (left <= X) & (right > X)


DISK = disk(100, 120, 40)
ELLIPSE = ((Y - 100) / 40) ** 2 + ((X - 120) / 60) ** 2 <= 1
RECTANGLE = rectangle(60, 140, 80, 200)
L_SHAPE = RECTANGLE & ~rectangle(60, 100, 140, 200)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (DISK, disk(107, 131, 40), 0),
        (DISK, disk(100, 120, 50), 0.038941760),
        (DISK, ELLIPSE, 0.551096117),
        (RECTANGLE, disk(100, 150, 45), 0.907038970),
        (RECTANGLE, L_SHAPE, 0.891297153),
        (DISK & ~disk(100, 120, 20), DISK, 0),
        (disk(20, 20, 40), disk(60, 60, 40), 0.599869995),
        (disk(100, 80, 30) | disk(100, 220, 20), disk(100, 80, 30), 0),
    ],
    ids=["moved", "grown", "ellipse", "rectangle", "l_shape", "ring", "at_the_border", "two_parts"],
)
def test_golden_values_of_the_toolbox(
    first: np.ndarray, second: np.ndarray, expected: float
) -> None:
    (value,) = temporal_stability(np.stack([first, second]))
    assert value == pytest.approx(expected, abs=1e-9)


def test_golden_numbers_of_vertices() -> None:
    shapes = [DISK, disk(100, 120, 50), ELLIPSE, RECTANGLE, L_SHAPE]
    assert [len(polygon(mask)) for mask in shapes] == [16, 18, 19, 5, 7]


def test_masks_without_a_polygon_give_nan_for_their_pairs() -> None:
    empty, dot = np.zeros((2, 200, 300), bool)
    dot[5:7, 5:7] = True
    values = temporal_stability(np.stack([DISK, empty, DISK, DISK, dot]))
    assert np.isnan(values).tolist() == [True, True, False, True]
    assert values[2] == 0


def test_fewer_than_two_frames_have_no_pair() -> None:
    assert temporal_stability(DISK[None]).shape == (0,)
    assert temporal_stability(np.zeros((0, 3, 3), bool)).shape == (0,)


@quick
@given(masks)
def test_outlines_enclose_the_mask(mask: np.ndarray) -> None:
    """Crossings of the outlines to the left of a pixel are odd exactly inside the mask."""
    crossings = np.zeros((mask.shape[0], mask.shape[1] + 1), int)
    for loop in outlines(mask):
        assert (
            loop[0].tolist() == loop[-1].tolist() == min(loop.tolist(), key=lambda p: (p[1], p[0]))
        )
        assert loop[1][1] > loop[0][1]  # it goes down first
        steps = np.diff(loop, axis=0)
        assert np.all((steps == 0).sum(axis=1) == 1)  # straight, and never of no length
        for (x, y), (dx, dy) in zip(loop, steps, strict=False):
            if dx == 0:
                crossings[min(y, y + dy) : max(y, y + dy), x] += 1
    np.testing.assert_array_equal(np.cumsum(crossings, axis=1)[:, :-1] % 2 == 1, mask)


def test_pixels_that_touch_at_a_corner_are_apart() -> None:
    for mask in (np.eye(2, dtype=bool), ~np.eye(2, dtype=bool)):
        assert [len(loop) for loop in outlines(mask)] == [5, 5]


def test_simplified_square_keeps_its_corners_and_a_tiny_one_vanishes() -> None:
    square = np.array([[0, 0], [0, 20], [20, 20], [20, 0], [0, 0]])
    assert simplified(square).tolist() == square.tolist()
    assert len(simplified(square // 5)) == 3


def test_resampled_pieces_are_at_most_three_pixels() -> None:
    square = np.array([[0, 0], [0, 10], [3, 10], [3, 0], [0, 0]])
    points = resampled(square)
    lengths = np.hypot(*np.diff(points, axis=0).T)
    assert len(points) == 4 + 1 + 4 + 1 + 1
    assert lengths.max() <= 3
    assert points[-1].tolist() == [0, 0]


def test_shape_context_counts_as_the_definition() -> None:
    points = np.random.default_rng(0).uniform(0, 50, (12, 2)).astype(np.float32)
    distance = np.array([[np.hypot(*(b.astype(float) - a)) for b in points] for a in points])
    distance /= distance.mean()
    expected = np.zeros((12, 5, 12))
    for i, a in enumerate(points.astype(float)):
        for k, b in enumerate(points.astype(float)):
            ring = sum(
                edge > distance[i, k] for edge in np.logspace(np.log10(0.125), np.log10(2), 5)
            )
            angle = np.arctan2(b[1] - a[1], b[0] - a[0]) % (2 * np.pi)
            if ring:
                expected[i, ring - 1, int(angle // (np.pi / 6))] += 1
    expected /= expected.sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(shape_context(points), expected.reshape(12, 60), atol=1e-12)


@quick
@given(
    arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.floats(0, 1))
)
def test_path_is_the_cheapest_of_all(cost: np.ndarray) -> None:
    best: dict[tuple[int, int], float] = {(0, 0): 0.0}
    for cell in np.ndindex(cost.shape):
        before = [(cell[0] - 1, cell[1] - 1), (cell[0] - 1, cell[1]), (cell[0], cell[1] - 1)]
        ways = [best[b] for b in before if b in best]
        best.setdefault(cell, min(ways, default=0) + cost[cell])
    path = cheapest_path(cost)
    assert path[0] == (0, 0)
    assert path[-1] == (cost.shape[0] - 1, cost.shape[1] - 1)
    assert all({b[0] - a[0], b[1] - a[1]} <= {0, 1} and a != b for a, b in pairwise(path))
    assert sum(cost[cell] for cell in path[1:]) == pytest.approx(best[path[-1]])


@quick
@given(
    arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=st.floats(0, 1))
)
def test_alignment_is_one_to_one(cost: np.ndarray) -> None:
    pairs = alignment(cost)
    assert pairs
    for side in (0, 1):
        assert len({pair[side] for pair in pairs}) == len(pairs)
        assert all(0 <= pair[side] < cost.shape[side] for pair in pairs)
