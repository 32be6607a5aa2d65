"""Edges of drawings whose lines are known."""

import numpy as np
import pytest

from densevos_eval.zeroshot.proposals.edge_map import gradient_edges, orientation, thinned

Y, X = np.mgrid[:120, :160]


def drawn(inside: np.ndarray) -> np.ndarray:
    return np.repeat(np.where(inside, 200, 30)[..., None], 3, axis=2).astype(np.uint8)


BAR = drawn((Y >= 30) & (Y < 90) & (X >= 40) & (X < 110))


def test_edges_lie_where_colours_change_and_are_thin() -> None:
    edges = gradient_edges(BAR)
    assert edges.dtype == np.float32
    assert (edges.min(), edges.max()) == (0, 1)
    angle = orientation(edges)
    assert ((angle >= 0) & (angle < np.pi)).all()
    thin = thinned(edges, angle)
    # The edge lies between two pixels, which are alike strong.
    assert np.flatnonzero(thin[60] > 0.1).tolist() == [39, 40, 109, 110]
    assert np.flatnonzero(thin[:, 75] > 0.1).tolist() == [29, 30, 89, 90]
    assert np.flatnonzero(edges[60] > 0.1).size > 12
    stays = thin > 0
    np.testing.assert_array_equal(thin[stays], edges[stays])


@pytest.mark.parametrize("degrees", [0, 30, 45, 60, 90, 120, 135, 170])
def test_the_angle_is_that_across_the_edge(degrees: int) -> None:
    angle = np.deg2rad(degrees)
    half = (X - 80) * np.cos(angle) + (Y - 60) * np.sin(angle) > 0.1
    found = orientation(gradient_edges(drawn(half)))[60, 80]
    distance = abs(found - angle)
    assert min(distance, np.pi - distance) < np.deg2rad(12 if degrees % 45 else 0.5)
    # Between multiples of 45 degrees it is the angle of the squared tangent.
    expected = np.mod(np.arctan(np.tan(angle) ** 2 * (1 if degrees <= 90 else -1)), np.pi)
    assert abs(found - expected) < np.deg2rad(1)


def test_a_bar_has_vertical_and_horizontal_edges() -> None:
    angle = orientation(gradient_edges(BAR))
    for row, column, expected in (
        (60, 40, 0),
        (60, 109, 0),
        (30, 75, np.pi / 2),
        (89, 75, np.pi / 2),
    ):
        assert abs(angle[row, column] - expected) < 0.01


def test_a_frame_of_one_colour_has_no_edges() -> None:
    edges = gradient_edges(np.full((20, 30, 3), 77, np.uint8))
    assert not edges.any()
    assert not thinned(edges, orientation(edges)).any()


def test_a_few_edges_count_too() -> None:
    """Fewer pixels than half a per cent have a gradient."""
    frame = np.zeros((200, 200, 3), np.uint8)
    frame[100, 100] = 255
    assert gradient_edges(frame).max() == 1
