"""The permutohedral lattice is a Gaussian filter."""

import numpy as np
import pytest

from densevos.data.foreground.lattice import build


def features(dimensions: int, count: int = 400, reach: float = 4.0) -> np.ndarray:
    return (
        np.random.default_rng(dimensions).uniform(0, reach, (dimensions, count)).astype(np.float32)
    )


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_weights_share_each_point_among_the_corners_of_its_simplex(dimensions: int) -> None:
    weights = build(features(dimensions)).weights.toarray()
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert weights.min() > -1e-6
    assert ((weights != 0).sum(axis=1) <= dimensions + 1).all()
    assert not weights[:, -1].any()  # points that do not exist get nothing


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_each_blur_is_symmetric(dimensions: int) -> None:
    for blur in build(features(dimensions, count=100)).blurs:
        matrix = blur.toarray()[:-1, :-1]
        np.testing.assert_array_equal(matrix, matrix.T)
        np.testing.assert_array_equal(np.diag(matrix), 1)
        assert set(np.unique(matrix)) <= {0, 0.5, 1}


def test_the_filter_is_close_to_a_gaussian_where_points_are_dense() -> None:
    positions = np.stack(np.mgrid[:40, :50]).reshape(2, -1).astype(np.float32) / 5
    values = np.random.default_rng(0).random(positions.shape[1]).astype(np.float32)
    distances = ((positions[:, :, None] - positions[:, None]) ** 2).sum(axis=0)
    kernel = np.exp(-distances / 2)
    lattice = build(positions)
    smooth = lattice.filter(values) / lattice.filter(np.ones_like(values))
    np.testing.assert_allclose(smooth, (kernel @ values) / kernel.sum(axis=1), atol=0.03)


def test_the_filter_is_linear_and_does_not_depend_on_the_order_of_points() -> None:
    points = features(5)
    values = np.random.default_rng(1).random(points.shape[1]).astype(np.float32)
    order = np.random.default_rng(2).permutation(points.shape[1])
    filtered = build(points).filter(values)
    np.testing.assert_allclose(
        build(points[:, order]).filter(values[order]), filtered[order], rtol=1e-4
    )
    np.testing.assert_allclose(build(points).filter(2 * values), 2 * filtered, rtol=1e-6)


@pytest.mark.parametrize("reach", [1e5, 1e30])
def test_features_that_reach_too_far_are_refused(reach: float) -> None:
    with pytest.raises(ValueError, match="too many standard deviations"):
        build(features(5, reach=reach))
