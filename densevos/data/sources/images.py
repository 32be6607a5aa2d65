"""Image files: how one is read, and one as a video of a single frame."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from densevos.base.errors import InputError
from densevos.base.names import is_image


def read_image(path: Path) -> np.ndarray:
    """Read one image as [H,W,3] uint8 RGB; InputError when it is missing, truncated or no image."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to white
                return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path}: image is missing") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: image cannot be read ({error}); replace or remove it") from error


class StillReader:
    """A FrameReader of one image file."""

    def __init__(self, path: Path):
        self.path, self.names = path, [path.stem]

    @staticmethod
    def reads(path: Path) -> bool:
        """Whether `path` is named like an image."""
        return is_image(path.name)

    def __len__(self) -> int:
        return 1

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """The image as often as asked for, [len(indices),H,W,3] uint8; IndexError for frames other than 0."""
        if any(index not in (0, -1) for index in indices):
            raise IndexError(f"{self.path}: is one image; there is no frame {max(indices)}")
        return np.repeat(read_image(self.path)[None], len(indices), axis=0)

    def seconds(self) -> None:
        return None
