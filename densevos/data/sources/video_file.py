"""Video files, through decord or PyAV."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from densevos.base.errors import InputError

if TYPE_CHECKING:
    from av import VideoFrame

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv"})


class DecordReader:
    """A video file through decord: quick random access, one decoding thread; turned as its rotation says."""

    def __init__(self, path: Path):
        import decord  # Imported here: scoring masks must not load a video decoder.

        decord.logging.set_level(decord.logging.QUIET)
        self.path = path
        try:
            self._video = decord.VideoReader(str(path), num_threads=1)
            count = len(self._video)
        except Exception as error:  # decord raises its own and plain RuntimeErrors
            raise _unreadable(path, error) from error
        if count == 0:
            raise InputError(f"{path}: video holds no frames")
        self.names = [f"{i:05d}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        try:
            return self._video.get_batch(list(indices)).asnumpy()
        except Exception as error:
            raise _unreadable(self.path, error) from error

    def seconds(self) -> np.ndarray:
        return self._video.get_frame_timestamp(range(len(self)))[:, 0]


class AvReader:
    """A video file through PyAV, for what decord cannot open; quick in forward order, rewinds otherwise."""

    _position: int

    def __init__(self, path: Path):
        self.path = path
        self._times = [frame.time for frame in self._decode()]
        if not self._times:
            raise InputError(f"{path}: video holds no frames")
        self.names = [f"{i:05d}" for i in range(len(self._times))]
        self._rewind()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return np.stack([self._frame(i) for i in indices])

    def seconds(self) -> np.ndarray | None:
        return None if None in self._times else np.array(self._times)

    def _frame(self, index: int) -> np.ndarray:
        if index < self._position:
            self._rewind()
        while self._position < index:
            self._position += 1
            self._current = next(self._stream)
        return np.rot90(self._current.to_ndarray(format="rgb24"), self._current.rotation // 90)

    def _rewind(self) -> None:
        self._stream = self._decode()
        self._current = next(self._stream)
        self._position = 0

    def _decode(self) -> Iterator["VideoFrame"]:
        import av

        try:
            with av.open(str(self.path)) as container:
                yield from container.decode(video=0)
        except (av.FFmpegError, IndexError) as error:
            raise _unreadable(self.path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return InputError(f"{path}: video cannot be decoded ({reason.strip()[:120]}); re-encode or remove it")
