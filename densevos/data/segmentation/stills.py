"""One image as a video of one frame."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from densevos.data.sources.readers import IMAGE_SUFFIXES, read_image


class StillReader:
    """A FrameReader of one image file."""

    def __init__(self, path: Path):
        self.path, self.names = path, [path.stem]

    @staticmethod
    def reads(path: Path) -> bool:
        """Whether `path` is named like an image."""
        return path.suffix.lower() in IMAGE_SUFFIXES

    def __len__(self) -> int:
        return 1

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """The image as often as asked for, [len(indices),H,W,3] uint8; IndexError for frames other than 0."""
        if any(index not in (0, -1) for index in indices):
            raise IndexError(f"{self.path}: is one image; there is no frame {max(indices)}")
        return np.repeat(read_image(self.path)[None], len(indices), axis=0)

    def seconds(self) -> None:
        return None
