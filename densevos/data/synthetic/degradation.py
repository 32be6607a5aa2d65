"""Degrade sharp images to the quality of video.

Degraded images have motion blur, low light with sensor noise, low resolution and compression.
"""

# Shapes: H x W pixels of an image, S x S of a kernel.

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from densevos.base.errors import InputError

GAMMA = 2.2  # Blur, exposure and noise act on light; a pixel is light to the power 1 / GAMMA.


@dataclass(frozen=True, kw_only=True)
class DegradationConfig:
    """Ranges (least, greatest) of the degradation; each image draws its amounts uniformly."""

    blur: tuple[float, float] = (0.01, 0.04)
    """Length of the motion blur, as a fraction of the image's width; its direction is random."""
    light: tuple[float, float] = (0.2, 0.6)
    """Remaining fraction of the light."""
    noise: tuple[float, float] = (0.01, 0.04)
    """Standard deviation of the sensor noise at white, as a fraction of white; darker pixels have
    less noise.
    """
    resolution: tuple[float, float] = (0.4, 0.7)
    """Size of the recorded image before it is enlarged again, as a fraction of the original."""
    quality: tuple[float, float] = (15, 40)
    """JPEG quality of the recorded image, 1..100."""

    def __post_init__(self) -> None:
        # JPEG quality ends at 100; shares of light and size must stay above 0.
        bounds = {
            "blur": (0, 0.5),
            "light": (0.01, 1),
            "noise": (0, 1),
            "resolution": (0.05, 1),
            "quality": (1, 100),
        }

        for name, (lowest, highest) in bounds.items():
            least, greatest = getattr(self, name)
            if not lowest <= least <= greatest <= highest:
                raise InputError(
                    f"--{name}: {least:g} to {greatest:g};"
                    f" give least and greatest in {lowest:g}..{highest:g}"
                )


def degrade(image: np.ndarray, config: DegradationConfig, rng: np.random.Generator) -> np.ndarray:
    """Simulate the recording of a moving camera in poor light.

    The blur is symmetric, so labels of the sharp image hold for the middle of the exposure.

    Args:
        image: Sharp image [H,W,3] uint8 RGB.
        config: Ranges of the degradation.
        rng: Source of all random choices.

    Returns:
        Degraded image [H,W,3] uint8 RGB.
    """
    amounts = settled(config, rng)

    # From pixels to light.
    exposure: np.ndarray = (image / np.float32(255)) ** GAMMA
    # A blur has no sense of direction, so half a turn covers all of them.
    kernel = motion_kernel(amounts.blur[0] * image.shape[1], rng.uniform(0, np.pi))
    exposure = amounts.light[0] * cv2.filter2D(
        exposure, -1, kernel, borderType=cv2.BORDER_REFLECT_101
    )
    # The sensor adds its noise after the optics have blurred the light.
    exposure = sensor_noise(exposure, amounts.noise[0], rng)

    # From light back to pixels.
    recorded = np.rint(255 * np.clip(exposure, 0, 1) ** (1 / GAMMA)).astype(np.uint8)
    return compress(recorded, amounts.resolution[0], round(amounts.quality[0]))


def settled(config: DegradationConfig, rng: np.random.Generator) -> DegradationConfig:
    """Draw one amount from every range, so that all frames of a video share it.

    Args:
        config: Ranges of the degradation.
        rng: Source of the random amounts.

    Returns:
        A configuration whose ranges hold a single value each.
    """
    # A range of one value gives that value at every later draw.
    settled_amounts = {}
    for name, (least, greatest) in vars(config).items():
        amount = float(rng.uniform(least, greatest))
        settled_amounts[name] = (amount, amount)

    return DegradationConfig(**settled_amounts)


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """Make the kernel of a motion blur: a line through the middle.

    The line consists of points half a pixel apart. Each point is spread bilinearly over four
    pixels.

    Args:
        length: Length of the line, pixels; 0 leaves an image unchanged.
        angle: Direction of the line, radians.

    Returns:
        [S,S] float32 with sum 1 and S odd.
    """
    # Points along the line, and how much of each falls on the pixels around it (bilinear).
    reach = int(np.ceil(length / 2)) + 1
    steps = np.linspace(-length / 2, length / 2, 2 * int(np.ceil(length)) + 1)
    grid = np.arange(-reach, reach + 1)
    across = np.clip(1 - np.abs(grid - steps[:, None] * np.cos(angle)), 0, None)
    down = np.clip(1 - np.abs(grid - steps[:, None] * np.sin(angle)), 0, None)

    kernel: np.ndarray = (np.einsum("py,px->yx", down, across) / len(steps)).astype(np.float32)
    return kernel


def sensor_noise(exposure: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """Add noise whose variance grows linearly with light, to a tenth in the dark.

    Args:
        exposure: Light [H,W,3] in 0..1.
        amount: Standard deviation of the noise at 1.
        rng: Source of the noise.

    Returns:
        [H,W,3], not clipped.
    """
    # Photons arrive at random, so variance grows with light; readout noise remains in the dark.
    deviation = amount * np.sqrt(np.clip(exposure, 0, None) * np.float32(0.9) + np.float32(0.1))
    noisy: np.ndarray = exposure + deviation * rng.standard_normal(exposure.shape, np.float32)
    return noisy


def compress(image: np.ndarray, resolution: float, quality: int) -> np.ndarray:
    """Shrink an image, compress it as JPEG, and enlarge it again.

    Args:
        image: [H,W,3] uint8.
        resolution: Size of the small image as a fraction of the original, in (0, 1].
        quality: JPEG quality, 1..100.

    Returns:
        [H,W,3] uint8.
    """
    height, width = image.shape[:2]
    # The small image is what the camera records; players enlarge it.
    small = max(1, round(resolution * width)), max(1, round(resolution * height))
    shrunk = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
    recorded = io.BytesIO()
    Image.fromarray(shrunk).save(recorded, "JPEG", quality=quality)

    with Image.open(recorded) as decoded:
        return cv2.resize(np.asarray(decoded), (width, height), interpolation=cv2.INTER_LINEAR)
