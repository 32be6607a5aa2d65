"""A part of a video, used like a video of its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from densevos.data.sources.source import FrameReader


class Excerpt:
    """The frames `start` to `stop` - 1 of another reader, with the same names."""

    def __init__(self, reader: FrameReader, start: int, stop: int):
        self.path: Path | str = reader.path
        self.names = reader.names[start:stop]
        self._reader = reader
        self._start = start

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self._reader.read([self._start + i for i in indices])

    def seconds(self) -> np.ndarray | None:
        times = self._reader.seconds()
        if times is None:
            return None
        return times[self._start : self._start + len(self)]
