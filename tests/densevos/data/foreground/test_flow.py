"""Optical flow, and pictures brought along it."""

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.data.foreground.flow import dis_flow, warp


def texture(shift: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 256, (16, 40, 3)), np.ones((6, 6, 1), int)).astype(np.uint8)
    return wide[:, 20 + shift : 140 + shift]


@pytest.mark.parametrize("finest", [0, 1])
def test_flow_points_to_where_a_pixel_is_in_the_other_frame(finest: int) -> None:
    flow = dis_flow(texture(0), texture(3), finest)  # the picture goes 3 pixels to the left
    assert flow.shape == (96, 120, 2)
    assert np.median(flow[..., 0]) == pytest.approx(-3, abs=0.5)
    assert np.median(flow[..., 1]) == pytest.approx(0, abs=0.2)


def test_a_warped_mask_lies_where_its_frame_has_it() -> None:
    mask = np.zeros((96, 120), bool)
    mask[40:60, 50:70] = True
    flow = np.zeros((96, 120, 2), np.float32)
    flow[..., 0] = 4  # of the frame that the mask is brought to
    moved = warp(mask, flow)
    assert moved.dtype == bool
    assert np.array_equal(np.flatnonzero(moved.any(axis=0)), np.arange(46, 66))
    soft = warp(mask.astype(np.float32), flow + np.float32([0.5, 0]))
    assert soft[50, 45] == pytest.approx(0.5)
    assert not warp(np.ones((96, 120), np.uint8), np.full((96, 120, 2), 500, np.float32)).any()


def test_frames_of_two_sizes_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"frames of 120x96 and 60x96 pixels; .*resize") as error:
        dis_flow(texture(0), texture(0)[:, :60])
    assert "\n" not in str(error.value)


def test_frames_too_small_for_it_do_not_move() -> None:
    assert not dis_flow(np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9, 3), np.uint8)).any()
