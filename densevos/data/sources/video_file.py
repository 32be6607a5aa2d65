"""Video files, through PyAV."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.video_index import (
    NO_STAMP,
    checksum,
    decoded,
    frame_index,
    open_container,
    stamp,
    unreadable_videos_named,
    upright,
    video_stream,
)

if TYPE_CHECKING:
    from av import VideoFrame

_SUFFIXES = (
    "264 265 3g2 3gp amv apng asf avi divx dv f4v flv gif h264 h265 hevc ivf m1v m2t m2ts m2v m4v mj2 mjpeg mjpg mkv "
    "mov mp4 mpe mpeg mpg mpv mts mxf nut obu ogm ogv qt rm rmvb ts vob webm wmv wtv y4m"
)
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())

SKIPPED_RATHER_THAN_SOUGHT = 8
"""So many frames before a key frame, decoding on is quicker than a seek to it."""
MOST_KEYS_BACK = 3
"""At most so many key frames before a frame is the one that is sought to decode it."""


class AvReader:
    """A video file through PyAV: every file that FFmpeg decodes, after one pass over it (see
    `FrameIndex`).

    A frame that is read after a seek must be the one that came out in order, by its checksum.
    Otherwise the seek is made to an earlier key frame, and at last the file is decoded from its
    beginning.
    """

    def __init__(self, path: Path):
        self.path = path
        self._index = frame_index(Path(path))
        self._numbers = {
            int(time): number for number, time in enumerate(self._index.stamps) if time != NO_STAMP
        }
        self._opened: _Opened | None = None
        self._back = 1
        self.names = [f"{i:05d}" for i in range(len(self._index.stamps))]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        # In ascending order no stretch of the file is decoded twice.
        frames = {int(i): self._frame(int(i)) for i in sorted(set(indices))}
        return np.stack([frames[int(i)] for i in indices])

    def seconds(self) -> np.ndarray | None:
        return self._index.seconds

    def _frame(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path}: frame {index} is asked for, but there are {len(self)}")

        with unreadable_videos_named(self.path):
            for start in self._starts(index):
                frame = self._reach(index, start)
                if frame is not None:
                    return upright(frame)

        raise InputError(
            f"{self.path}: frame {index:05d} cannot be decoded; re-encode or remove the video"
        )

    def _starts(self, index: int) -> Iterator[int | None]:
        """Where decoding may start to reach a frame, the nearest place first; None: where the last
        read ended.
        """
        keys = self._index.keys[: np.searchsorted(self._index.keys, index, "right")]
        if self._opened is not None and self._opened.position <= index:
            near = not len(keys) or self._opened.position >= keys[-1] - SKIPPED_RATHER_THAN_SOUGHT
            if near or self._back > MOST_KEYS_BACK:
                yield None

        while self._back <= MOST_KEYS_BACK and self._back < len(keys):
            yield int(keys[-self._back])
            self._back += (
                1  # That was too late: some containers lead to what follows the key frame.
            )

        yield 0

    def _reach(self, index: int, start: int | None) -> "VideoFrame | None":
        """Decode from `start` to a frame; None if another one comes out than did in order."""
        import av

        try:
            if self._opened is None or start == 0:
                self._opened = _Opened(self.path)
            if start:
                self._opened.seek(int(self._index.stamps[start]), self._numbers)

            frame = self._opened.advance(index)
        except (StopIteration, av.FFmpegError):
            self._opened = None
            return None

        return (
            frame if frame is not None and checksum(frame) == self._index.checksums[index] else None
        )


class _Opened:
    """A file that is being decoded: the frame that came out last, and which one it is."""

    def __init__(self, path: Path):
        self._container = open_container(path)
        self._video = video_stream(self._container, path)
        self._stream = decoded(self._container, self._video)
        self._current = next(self._stream)
        self.position = 0

    def seek(self, stamp_of_key: int, numbers: dict[int, int]) -> None:
        """Go to the key frame of a time stamp, or where that leads to; `numbers` tells which frame
        comes out there.
        """
        self._container.seek(stamp_of_key, stream=self._video)
        self._stream = decoded(self._container, self._video)
        self._current = next(self._stream)
        self.position = numbers.get(stamp(self._current), sys.maxsize)

    def advance(self, index: int) -> "VideoFrame | None":
        """Decode on to a frame; None if it lies behind, or if it is not known where decoding is."""
        while self.position < index:
            self._current = next(self._stream)
            self.position += 1

        return self._current if self.position == index else None
