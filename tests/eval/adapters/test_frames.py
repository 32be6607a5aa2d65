"""Sizes and pixels of the frames that an encoder sees, by the rules of the published programs."""

import cv2
import numpy as np
import pytest
from PIL import Image

from densevos.base.errors import InputError
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.adapters.frames import FrameConfig, nearest, nearest_corner, resized_pixels
from densevos_eval.base.sizes import size_text
from densevos_eval.presets.registry import PRESETS

DINO, DINOV3 = PRESETS["dino"].setup.frames, PRESETS["dinov3"].setup.frames
VIP = PRESETS["cropmae"].variants["vip"].setup.frames


@pytest.mark.parametrize(
    ("config", "frame", "size"),
    [
        (FrameConfig(), (479, 853), (479, 853)),
        (FrameConfig(frame_size="480x880"), (100, 50), (480, 880)),
        (FrameConfig(short_side=100), (480, 854), (100, 178)),
        (FrameConfig(long_side=100), (480, 854), (56, 100)),
        (FrameConfig(short_side=100, multiple=8), (480, 854), (104, 184)),
        (FrameConfig(short_side=100, multiple="cell", rounding="up"), (480, 854), (112, 208)),
        # 480 * 854 / 480 = 854 -> 832; a square's width is rounded, its height not.
        (DINO, (480, 854), (480, 832)),
        (DINO, (854, 480), (832, 480)),
        (DINO, (700, 700), (480, 448)),
        (DINO, (1080, 1920), (480, 832)),
        (DINOV3, (1080, 1920), (960, 1712)),
        (DINOV3, (1920, 1080), (1712, 960)),
        (VIP, (720, 1280), (448, 880)),
        (VIP, (1280, 720), (880, 448)),
        (PRESETS["rsp"].setup.frames, (480, 854), (480, 832)),
    ],
)
def test_sizes(config: FrameConfig, frame: tuple[int, int], size: tuple[int, int]) -> None:
    assert config.encoded_size(frame, 16) == size


def test_sizes_that_cannot_be() -> None:
    with pytest.raises(InputError, match="--frame-size and --long-side: give one of them"):
        FrameConfig(frame_size="3x4", long_side=3)
    with pytest.raises(InputError, match="--short-side: must be 1 or more pixels, is 0"):
        FrameConfig(short_side=0)
    with pytest.raises(InputError, match="--multiple: must be 1 or more pixels, is 0"):
        FrameConfig(multiple=0)
    with pytest.raises(InputError, match="--converted 480x: must be HEIGHTxWIDTH"):
        FrameConfig(converted="480x")


def test_resampling() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (30, 41, 3), dtype=np.uint8)
    size = (18, 25)

    def resized(resampling: str) -> np.ndarray:
        return resized_pixels(
            frame, size, FrameConfig(frame_size=size_text(size), resampling=resampling)
        )  # type: ignore[arg-type]

    np.testing.assert_array_equal(
        resized("smooth"), cv2.resize(frame, (25, 18), interpolation=cv2.INTER_AREA)
    )
    np.testing.assert_array_equal(resized("bilinear"), cv2.resize(frame, (25, 18)))
    floats = resized("bilinear-float")
    assert floats.dtype == np.float32
    np.testing.assert_allclose(
        floats, cv2.resize(frame.astype(np.float32) / 255, (25, 18)), atol=1e-6
    )
    pillow = Image.fromarray(frame)
    np.testing.assert_array_equal(
        resized("bicubic"), np.asarray(pillow.resize((25, 18), Image.Resampling.BICUBIC))
    )
    np.testing.assert_array_equal(
        resized("nearest"), np.asarray(pillow.resize((25, 18), Image.Resampling.NEAREST))
    )
    np.testing.assert_array_equal(nearest(frame[..., 0], size), resized("nearest")[..., 0])


def test_lightness_stands_for_all_colours() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    pixels = resized_pixels(frame, (6, 7), FrameConfig(colour="lab"))
    assert pixels.shape == frame.shape
    assert (pixels == pixels[..., :1]).all()
    np.testing.assert_allclose(256 * pixels[..., 0], cv2.cvtColor(frame, cv2.COLOR_RGB2LAB)[..., 0])


@pytest.mark.parametrize("size", [(64, 96), (61, 90), (8, 8), (480, 854)])
def test_convolutions_see_frames_as_they_are(size: tuple[int, int]) -> None:
    encoder = load_encoder("random:resnet18", device="cpu", layer="res3")
    assert not encoder.padded
    sizes = encoder.sizes(size)
    assert sizes.frame == sizes.encoded == sizes.covered == size
    if max(size) < 100:
        frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        assert encoder.of_frame(frame).shape[1:] == (-(-size[0] // 8), -(-size[1] // 8))


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
        (
            {"converted": "40x60", "converted_quality": 0},
            "--converted-quality: must be from 1 to 95, is 0",
        ),
    ],
)
def test_a_quality_that_cannot_be_is_an_error(config: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FrameConfig(**config)


def test_nearest_corner_takes_the_upper_left_pixel() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert nearest_corner(image, (2, 2)).tolist() == [[0, 2], [8, 10]]
    assert nearest_corner(image, (4, 4)) is image
