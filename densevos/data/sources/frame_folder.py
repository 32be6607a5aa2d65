"""A folder of images as a video."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.names import IMAGE_SUFFIXES, frame_files
from densevos.data.sources.images import brightest_value, read_image


class FolderReader:
    """A FrameReader of the images of one folder, in the order of their names, see `frame_order`.

    Args:
        path: The folder.

    Raises:
        InputError: The folder holds no images, or two images share a name.
    """

    def __init__(self, path: Path):
        self.path = path
        self._files = frame_files(path)
        if not self._files:
            raise InputError(
                f"{path}: folder holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})"
            )

        self.names = [file.stem for file in self._files]

    def __len__(self) -> int:
        return len(self._files)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        frames = [read_image(self._files[i], self._brightest) for i in indices]

        # Images of different sizes cannot be stacked; name the two files.
        for index, frame in zip(indices, frames, strict=True):
            if frame.shape != frames[0].shape:
                first = self._files[indices[0]].name
                raise InputError(
                    f"{self._files[index]}: is {_size(frame)} but {first} is {_size(frames[0])};"
                    " frames of one video must share one size"
                )

        return np.stack(frames)

    @cached_property
    def _brightest(self) -> float | None:
        """The value that scales images of more than 8 bits, the same for the whole video."""
        return brightest_value(self._files)

    def seconds(self) -> None:
        return None


def _size(frame: np.ndarray) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]}"
