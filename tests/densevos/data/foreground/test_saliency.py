"""Manifold-ranking saliency."""

import numpy as np
import pytest

from densevos.data.foreground.probability import saliency_threshold
from densevos.data.foreground.saliency import (
    ALPHA,
    SIGMA2,
    border_queries,
    mean_colours,
    neighbours,
    ranking_matrix,
    saliency,
    unit_range,
)
from densevos.data.foreground.superpixels import superpixels

Y, X = np.mgrid[:120, :200]


def textured(disk: np.ndarray, seed: int = 0) -> np.ndarray:
    """A bright disk on a dark, noisy ground with a slow gradient, [H,W,3] uint8."""
    noise = np.random.default_rng(seed).normal(0, 12, (*disk.shape, 3))
    ground = np.stack([60 + X / 10, 90 - Y / 10, 50 + Y / 10], axis=2)
    return np.clip(np.where(disk[..., None], (220, 190, 60), ground) + noise, 0, 255).astype(
        np.uint8
    )


@pytest.mark.parametrize(("y", "x", "radius"), [(60, 100, 28), (55, 130, 20), (65, 70, 35)])
def test_a_bright_disk_on_a_textured_ground_is_salient(y: int, x: int, radius: int) -> None:
    disk = (Y - y) ** 2 + (X - x) ** 2 <= radius**2
    values = saliency(textured(disk))
    assert values.dtype == np.float32
    assert (values.min(), values.max()) == (0, 1)
    found = values > saliency_threshold(values)
    assert (found & disk).sum() / (found | disk).sum() > 0.8


def test_superpixels_of_a_noisy_image_do_not_run_together() -> None:
    labels = superpixels(textured(np.zeros((120, 200), bool)), 200)
    sizes = np.bincount(labels.ravel())
    assert (
        100 < len(sizes) < 250
    )  # a single one with compactness 10 and the default min_size_factor
    assert sizes.max() < 5 * sizes.mean()


def test_what_touches_the_border_is_not_salient() -> None:
    stripe, disk = Y < 25, (Y - 75) ** 2 + (X - 100) ** 2 <= 20**2
    values = saliency(textured(stripe | disk))
    assert values[stripe].mean() < 0.3
    assert values[disk].mean() > 0.7


def test_an_image_of_one_colour_has_no_salient_part() -> None:
    assert saliency(np.full((60, 80, 3), 90, np.uint8)).max() == 0


def test_the_same_image_has_the_same_map() -> None:
    image = textured((Y - 60) ** 2 + (X - 100) ** 2 <= 400)
    np.testing.assert_array_equal(saliency(image), saliency(image.copy()))


# A middle row 5 6 7 8 9 between a top row 0..4 and a bottom row 10..14, each superpixel a block of
# 4 x 4 pixels.
GRID = np.kron(np.arange(15).reshape(3, 5), np.ones((4, 4), int))


def test_neighbours_are_two_rings_and_the_closed_border() -> None:
    graph = neighbours(GRID)
    assert (graph == graph.T).all()
    assert not graph.diagonal().any()
    assert graph[6, [0, 1, 2, 5, 7, 10, 11, 12]].all()  # they touch, by corners too
    assert graph[6, [3, 8, 13]].all()  # they share a neighbour
    assert not graph[6, [4, 9, 14]].any()
    assert graph[0, 14]  # the border's far corners
    assert graph[5, 9]


def test_border_queries_name_the_four_sides() -> None:
    top, bottom, left, right = (np.flatnonzero(side).tolist() for side in border_queries(GRID))
    assert (top, bottom) == ([0, 1, 2, 3, 4], [10, 11, 12, 13, 14])
    assert (left, right) == ([0, 5, 10], [4, 9, 14])


def test_ranking_is_the_closed_form_without_a_nodes_own_vote() -> None:
    rng = np.random.default_rng(2)
    colours, graph = rng.random((15, 3)), neighbours(GRID)
    ranking = ranking_matrix(colours, graph)
    weights = np.zeros((15, 15))
    for i in range(15):
        for j in range(15):
            if graph[i, j]:
                weights[i, j] = np.exp(-np.sqrt(((colours[i] - colours[j]) ** 2).sum()) / SIGMA2)
    system = np.diag(weights.sum(1)) - ALPHA * weights
    for node in range(15):
        alone = np.linalg.solve(system, np.eye(15)[node])
        alone[node] = 0
        np.testing.assert_allclose(ranking[:, node], alone, rtol=1e-9)


def test_mean_colours_stretch_each_channel_but_not_what_nobody_sees() -> None:
    image = np.full((12, 20, 3), 100, np.uint8)
    image[:4] = 20
    image[8:] = 240
    colours = mean_colours(image, GRID)
    np.testing.assert_allclose(colours[[0, 14], 0], [0, 1])
    assert 0.2 < colours[7, 0] < 0.5
    assert colours[:, 1:].max() < 0.1  # grey: the colour channels hold nothing but rounding


def test_unit_range_of_equal_values_is_zero() -> None:
    np.testing.assert_allclose(unit_range(np.array([2.0, 4.0, 3.0])), [0, 1, 0.5])
    assert unit_range(np.full(4, 7.0)).max() == 0
