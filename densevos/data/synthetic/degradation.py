"""Sharp images degraded as video is: motion blur, low light with sensor noise, small frames and
compression.
"""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from densevos.base.errors import InputError

GAMMA = 2.2  # Blur, exposure and noise happen to light, and pixels are its root.


@dataclass(frozen=True, kw_only=True)
class DegradationConfig:
    """How much is lost; each image draws its own amounts uniformly from these ranges (least,
    greatest).
    """

    blur: tuple[float, float] = (0.01, 0.04)
    """Length of the motion blur, fraction of the image's width; its direction is random."""
    light: tuple[float, float] = (0.2, 0.6)
    """Share of the light that is left."""
    noise: tuple[float, float] = (0.01, 0.04)
    """Standard deviation of the sensor noise where it is white, fraction of white; it falls as
    light does.
    """
    resolution: tuple[float, float] = (0.4, 0.7)
    """Size of the recorded image, fraction of the original; it is enlarged again."""
    quality: tuple[float, float] = (15, 40)
    """Quality of the JPEG compression of the recorded image, 1..100."""

    def __post_init__(self) -> None:
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
                    f"--{name}: {least:g} to {greatest:g}; give least and greatest in {lowest:g}..{highest:g}"
                )


def degrade(image: np.ndarray, config: DegradationConfig, rng: np.random.Generator) -> np.ndarray:
    """What a moving camera in poor light would have recorded of `image`; both [H,W,3] uint8 RGB.

    The blur reaches as far to either side, so that labels of the sharp image stay those of the
    middle of the exposure.
    """
    amounts = settled(config, rng)
    exposure: np.ndarray = (image / np.float32(255)) ** GAMMA
    kernel = motion_kernel(amounts.blur[0] * image.shape[1], rng.uniform(0, np.pi))
    exposure = amounts.light[0] * cv2.filter2D(
        exposure, -1, kernel, borderType=cv2.BORDER_REFLECT_101
    )
    exposure = sensor_noise(exposure, amounts.noise[0], rng)
    seen = np.rint(255 * np.clip(exposure, 0, 1) ** (1 / GAMMA)).astype(np.uint8)

    return compress(seen, amounts.resolution[0], round(amounts.quality[0]))


def settled(config: DegradationConfig, rng: np.random.Generator) -> DegradationConfig:
    """One draw from every range, for all frames of one video: least and greatest are the same."""
    drawn = {name: float(rng.uniform(*amounts)) for name, amounts in vars(config).items()}
    return DegradationConfig(**{name: (amount, amount) for name, amount in drawn.items()})


def motion_kernel(length: float, angle: float) -> np.ndarray:
    """A line of `length` pixels about the middle at `angle` (radians), [S,S] float32 with sum 1 and
    S odd.

    Made of points half a pixel apart, each shared bilinearly by four pixels; `length` 0 leaves an
    image as it is.
    """
    reach = int(np.ceil(length / 2)) + 1
    steps = np.linspace(-length / 2, length / 2, 2 * int(np.ceil(length)) + 1)
    grid = np.arange(-reach, reach + 1)
    across = np.clip(1 - np.abs(grid - steps[:, None] * np.cos(angle)), 0, None)
    down = np.clip(1 - np.abs(grid - steps[:, None] * np.sin(angle)), 0, None)

    return (np.einsum("py,px->yx", down, across) / len(steps)).astype(np.float32)


def sensor_noise(exposure: np.ndarray, amount: float, rng: np.random.Generator) -> np.ndarray:
    """`exposure` [H,W,3] in 0..1 with noise whose variance grows with light: shot noise, and a
    tenth of it in the dark.

    `amount` is the standard deviation at 1.
    """
    deviation = amount * np.sqrt(np.clip(exposure, 0, None) * np.float32(0.9) + np.float32(0.1))
    return exposure + deviation * rng.standard_normal(exposure.shape, np.float32)


def compress(image: np.ndarray, resolution: float, quality: int) -> np.ndarray:
    """`image` [H,W,3] uint8 shrunk to `resolution` (0..1] of its size, as a JPEG of `quality`,
    enlarged again.
    """
    height, width = image.shape[:2]
    small = max(1, round(resolution * width)), max(1, round(resolution * height))
    recorded = io.BytesIO()
    Image.fromarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA)).save(
        recorded, "JPEG", quality=quality
    )
    with Image.open(recorded) as decoded:
        return cv2.resize(np.asarray(decoded), (width, height), interpolation=cv2.INTER_LINEAR)
