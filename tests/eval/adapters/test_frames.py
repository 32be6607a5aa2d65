"""Sizes and pixels of frames as published programs make them."""

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos_eval.adapters.frames import FrameConfig, nearest_corner, resized_pixels


def test_halves_of_a_side_are_rounded_up() -> None:
    """427 * 480 / 320 is 640.5; mmcv, which VFS resizes with, makes it 641."""
    assert FrameConfig(short_side=480).encoded_size((320, 427), 1) == (480, 641)
    assert FrameConfig(short_side=480).encoded_size((320, 429), 1) == (480, 644)
    assert FrameConfig(short_side=480).encoded_size((240, 427), 1) == (480, 854)


def test_converted_frames_can_be_compressed() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    plain = resized_pixels(frame, (40, 60), FrameConfig(converted="40x60"))
    rough = resized_pixels(frame, (40, 60), FrameConfig(converted="40x60", converted_quality=75))
    fine = resized_pixels(frame, (40, 60), FrameConfig(converted="40x60", converted_quality=95))
    assert (plain[::2, ::2] == frame).all()

    rough_error, fine_error = (np.abs(one.astype(float) - plain).mean() for one in (rough, fine))
    assert rough_error > fine_error > 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"converted_quality": 75}, "--converted-quality: needs --converted"),
        ({"converted": "40x60", "converted_quality": 0}, "--converted-quality: must be from 1 to 95, is 0"),
    ],
)
def test_a_quality_that_cannot_be_is_an_error(config: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FrameConfig(**config)


def test_nearest_corner_takes_the_upper_left_pixel() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert nearest_corner(image, (2, 2)).tolist() == [[0, 2], [8, 10]]
    assert nearest_corner(image, (4, 4)) is image
