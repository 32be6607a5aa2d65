"""The camera's motion is taken out of the flow, and what is left is what moves by itself."""

import numpy as np
import pytest

from densevos.data.foreground.motion import STILL, against_scene, motion_probability, own_motion

H, W = 60, 90
Y, X = np.mgrid[:H, :W].astype(np.float32)
SQUARE = (slice(20, 40), slice(30, 55))


def zoom_and_pan() -> np.ndarray:
    """Flow of a camera that turns, zooms and is tilted: quadratic in the place."""
    return np.stack(
        [2 + 0.03 * (X - 45) + 0.0004 * X * Y, -1 + 0.03 * (Y - 30) + 0.0003 * Y * Y], axis=2
    )


def with_object(flow: np.ndarray, move: tuple[float, float]) -> np.ndarray:
    flow = flow.copy()
    flow[SQUARE] += np.float32(move)
    return flow


def test_what_the_camera_does_is_no_motion() -> None:
    speed, scale = against_scene(zoom_and_pan())
    assert speed.max() < 0.02
    assert scale == 0.15


def test_an_object_moves_as_fast_as_it_does_against_the_scene() -> None:
    speed, _ = against_scene(with_object(zoom_and_pan(), (3, -4)))
    assert speed[SQUARE] == pytest.approx(5, abs=0.2)
    others = np.ones((H, W), bool)
    others[SQUARE] = False
    assert speed[others].max() < 0.2


def test_of_two_directions_the_slower_counts() -> None:
    seen_once = with_object(np.zeros((H, W, 2), np.float32), (6, 0))
    seen_once[:10, :10] = (9, 9)  # appears in this direction alone
    both = own_motion([seen_once, with_object(np.zeros((H, W, 2), np.float32), (-6, 0))], (H, W))
    assert both.map[:10, :10].max() < 0.05
    assert both.map[SQUARE] == pytest.approx(1, abs=0.05)
    assert both.fastest == pytest.approx(6, abs=0.2)
    assert own_motion([seen_once], (H, W)).map[5, 5] == 1


def test_fast_motion_is_trusted_more_than_slow() -> None:
    trusts = [
        own_motion([with_object(np.zeros((H, W, 2), np.float32), (speed, 0))], (H, W)).trust
        for speed in (0, 1, 3, 30)
    ]
    assert trusts == sorted(trusts)
    assert trusts[0] < 1e-6
    assert trusts[-1] > 0.99


def test_without_flow_or_motion_nothing_is_foreground() -> None:
    nothing = own_motion([], (H, W))
    assert (nothing.trust, nothing.fastest) == (0, 0)
    assert not motion_probability(nothing).any()
    slow = own_motion([with_object(np.zeros((H, W, 2), np.float32), (0.9 * STILL, 0))], (H, W))
    assert not motion_probability(slow).any()


def test_what_moves_fast_is_foreground() -> None:
    probability = motion_probability(own_motion([with_object(zoom_and_pan(), (5, 0))], (H, W)))
    assert probability[SQUARE].min() > 0.9
    assert np.count_nonzero(probability > 0.5) == 20 * 25


def test_frames_of_a_few_pixels_are_solved() -> None:
    assert own_motion([np.ones((2, 3, 2), np.float32)], (2, 3)).map.shape == (2, 3)
