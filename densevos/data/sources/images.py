"""Read image files, and use one as a video of a single frame."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.images import load_image
from densevos.base.names import is_image

LOOKED_AT = 16
"""Number of images of a video from which the brightest value is estimated."""


def read_image(path: Path, brightest: float | None = None) -> np.ndarray:
    """Read one image, rotated as its EXIF orientation says.

    Args:
        path: An image file.
        brightest: Largest value of the images of a video, for grey images of more than 8 bits: all
            images of the video are scaled by it. None: the image is scaled by its own largest
            value.

    Returns:
        [H,W,3] uint8 RGB.

    Raises:
        InputError: The file is missing, truncated or no image, or its values cannot be scaled to 8
            bits.
    """
    image = load_image(path)
    if not is_deep(image.mode):
        return np.asarray(image.convert("RGB"))

    # Grey values of more than 8 bits: scale them, and repeat the channel three times.
    values = _deep_values(path, image)
    grey = _eight_bits(values, values.max() if brightest is None else brightest, path)
    return np.repeat(grey[..., None], 3, axis=2)


def is_deep(mode: str) -> bool:
    """Whether a Pillow mode holds grey values of more than 8 bits."""
    return mode.startswith("I") or mode == "F"


def brightest_value(paths: Sequence[Path]) -> float | None:
    """Estimate the largest value of grey images of more than 8 bits.

    Args:
        paths: The images of a video; a sample of them, spread evenly, is read.

    Returns:
        The largest value; None for other images.
    """
    with suppress(Exception):  # A file that cannot be opened is reported when it is read.
        with Image.open(paths[0]) as first:
            if not is_deep(first.mode):
                return None

        # Reading all images of a long video would take too long.
        spread = np.linspace(0, len(paths) - 1, min(len(paths), LOOKED_AT)).astype(int)
        largest = []
        for position in spread:
            path = paths[position]
            largest.append(float(_deep_values(path, load_image(path)).max()))

        return max(largest)

    return None


def _deep_values(path: Path, image: Image.Image) -> np.ndarray:
    """Grey values [H,W]; InputError if one is negative, infinite or NaN."""
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high < np.inf):  # Comparisons with NaN are false.
        raise InputError(
            f"{path}: grey values from {low:g} to {high:g};"
            " scale them to 0 to 65535 (16 bits) or 0 to 1"
        )

    return values


def _eight_bits(values: np.ndarray, brightest: float, path: Path) -> np.ndarray:
    """Scale grey values to uint8, by the number of bits or, for fractions, by the range."""
    # Integers: the video has as many bits as its brightest value needs.
    if values.dtype.kind != "f":
        bits = max(8, int(brightest).bit_length())
        shift = bits + bits % 2 - 8  # Cameras have 8, 10, 12, 14 or 16 bits: an even number.
        shifted: np.ndarray = np.minimum(values.astype(np.int64) >> shift, 255).astype(np.uint8)
        return shifted

    # Fractions are in 0..1, or in the range of 8 bits.
    if brightest <= 1:
        return np.minimum(np.round(values * 255), 255).astype(np.uint8)
    if brightest <= 255:
        rounded: np.ndarray = np.minimum(values, 255).astype(np.uint8)
        return rounded

    raise InputError(f"{path}: fractional grey values up to {brightest:g}; scale them to 0 to 1")


class StillReader:
    """A FrameReader of one image file, as a video of one frame."""

    def __init__(self, path: Path):
        self.path, self.names = path, [path.stem]

    @staticmethod
    def reads(path: Path) -> bool:
        """Whether `path` has the suffix of an image."""
        return is_image(path.name)

    def __len__(self) -> int:
        return 1

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Read the image and repeat it, [len(indices),H,W,3] uint8; IndexError for other frames."""
        # Negative positions count from the end, as in lists, so -1 is the frame itself.
        for index in indices:
            if index not in (0, -1):
                raise IndexError(f"{self.path}: is one image; there is no frame {index}")

        return np.repeat(read_image(self.path)[None], len(indices), axis=0)

    def seconds(self) -> None:
        return None
