"""Images degraded as video is: what each step does to light, and that it can be repeated."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densevos.base.errors import InputError
from densevos.data.synthetic.degradation import (
    GAMMA,
    DegradationConfig,
    compress,
    degrade,
    motion_kernel,
    sensor_noise,
    settled,
)
from densevos.data.synthetic.textures import load_photograph

HARMLESS = DegradationConfig(
    blur=(0, 0), light=(1, 1), noise=(0, 0), resolution=(1, 1), quality=(100, 100)
)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def photograph() -> np.ndarray:
    return load_photograph("astronaut.png")[:120, :160]


def detail(image: np.ndarray, axis: int) -> float:
    """Mean size of the differences of neighbouring pixels along an axis."""
    return float(np.abs(np.diff(image.astype(float), axis=axis)).mean())


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**32))
def test_any_size_and_the_same_seed_gives_the_same_bytes(
    height: int, width: int, seed: int
) -> None:
    image = rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    degraded = degrade(image, DegradationConfig(), rng(seed))
    assert (degraded.shape, degraded.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(degraded, degrade(image, DegradationConfig(), rng(seed)))


def test_seeds_differ_and_the_image_is_left_alone() -> None:
    image = photograph().copy()
    assert not np.array_equal(
        degrade(image, DegradationConfig(), rng(1)), degrade(image, DegradationConfig(), rng(2))
    )
    np.testing.assert_array_equal(image, photograph())


def test_nothing_lost_leaves_the_image() -> None:
    image = photograph()
    difference = degrade(image, HARMLESS, rng()).astype(float) - image
    assert np.abs(difference).mean() < 2  # JPEG at quality 100


@given(st.floats(0, 40), st.floats(0, np.pi))
def test_a_kernel_is_a_line_about_the_middle(length: float, angle: float) -> None:
    kernel = motion_kernel(length, angle)
    assert kernel.shape[0] == kernel.shape[1]
    assert kernel.shape[0] % 2 == 1
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(
        kernel, kernel[::-1, ::-1], atol=1e-6
    )  # labels stay those of the middle
    grid = np.arange(len(kernel)) - len(kernel) // 2
    along, across = (
        float((kernel * (grid * np.cos(a) + grid[:, None] * np.sin(a)) ** 2).sum())
        for a in (angle, angle + np.pi / 2)
    )
    assert across <= 0.51  # a pixel wide
    assert along >= length**2 / 12 - 0.01  # as wide as a line of this length


def test_a_kernel_of_no_length_is_one_pixel() -> None:
    kernel = motion_kernel(0, 1.0)
    assert kernel[len(kernel) // 2, len(kernel) // 2] == 1 == kernel.sum()


def test_blur_takes_detail_and_no_light() -> None:
    image = photograph()
    blurred = degrade(image, replace(HARMLESS, blur=(0.05, 0.05)), rng())
    assert detail(blurred, 1) < 0.7 * detail(image, 1)
    light = [float(((pixels / 255) ** GAMMA).mean()) for pixels in (image, blurred)]
    assert light[1] == pytest.approx(light[0], rel=0.05)


def test_light_is_what_is_left_of_it() -> None:
    grey = np.full((32, 32, 3), 200, np.uint8)
    dark = degrade(grey, replace(HARMLESS, light=(0.25, 0.25)), rng())
    assert dark.mean() == pytest.approx(200 * 0.25 ** (1 / GAMMA), abs=1)


def test_noise_grows_with_light() -> None:
    dark, bright = (
        sensor_noise(np.full((64, 64, 3), light), 0.05, rng()).std() for light in (0.0, 1.0)
    )
    assert bright == pytest.approx(0.05, rel=0.05)
    assert dark == pytest.approx(0.05 * np.sqrt(0.1), rel=0.05)


def test_compression_takes_detail() -> None:
    image = photograph()
    coarse, small = compress(image, 1.0, 5), compress(image, 0.3, 100)
    assert np.abs(coarse.astype(float) - image).mean() > 3
    assert detail(small, 0) < 0.7 * detail(image, 0)


def test_settled_holds_one_draw_within_the_ranges() -> None:
    config = DegradationConfig()
    amounts = settled(config, rng(5))
    for name, (least, greatest) in vars(config).items():
        low, high = getattr(amounts, name)
        assert least <= low == high <= greatest
    assert settled(amounts, rng(9)) == amounts


@pytest.mark.parametrize(
    "wrong",
    [{"blur": (0.3, 0.1)}, {"light": (0, 1)}, {"quality": (0, 50)}, {"resolution": (0.5, 2)}],
)
def test_ranges_are_checked(wrong: dict[str, tuple[float, float]]) -> None:
    with pytest.raises(InputError, match=f"^--{next(iter(wrong))}: .* least and greatest"):
        DegradationConfig(**wrong)
