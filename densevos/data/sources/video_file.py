"""Read any video file that FFmpeg decodes, with PyAV and one pass over the file."""

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
    "264 265 3g2 3gp amv apng asf avi divx dv f4v flv gif h264 h265 hevc ivf m1v m2t m2ts m2v m4v "
    "mj2 mjpeg mjpg mkv mov mp4 mpe mpeg mpg mpv mts mxf nut obu ogm ogv qt rm rmvb ts vob webm "
    "wmv wtv y4m"
)
VIDEO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())

SKIPPED_RATHER_THAN_SOUGHT = 8
"""At most this many frames before a key frame, decoding on is faster than a seek."""
MOST_KEYS_BACK = 3
"""A seek goes back at most this many key frames; after that the file is decoded from its start."""


class AvReader:
    """A FrameReader of any video file that FFmpeg decodes, after one pass over it (`FrameIndex`).

    A frame that is read after a seek must have the checksum of the frame that came out when the
    file was decoded in order. Otherwise the reader seeks to an earlier key frame, and finally
    decodes the file from its start.

    Args:
        path: The video file.

    Raises:
        InputError: The file cannot be decoded, holds no frames, or its frames change size.
    """

    def __init__(self, path: Path):
        self.path = path
        self._index = frame_index(Path(path))
        # Number of the frame of each time stamp: it says where a seek has led to.
        self._numbers: dict[int, int] = {}
        for number, time in enumerate(self._index.stamps):
            if time != NO_STAMP:
                self._numbers[int(time)] = number

        self._opened: _Opened | None = None
        # How many key frames before a frame a seek goes; it grows when a seek leads too far.
        self._back = 1
        self.names = [f"{number:05d}" for number in range(len(self._index.stamps))]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        # In ascending order no part of the file is decoded twice.
        frames = {int(i): self._frame(int(i)) for i in sorted(set(indices))}
        return np.stack([frames[int(i)] for i in indices])

    def seconds(self) -> np.ndarray | None:
        return self._index.seconds

    def _frame(self, index: int) -> np.ndarray:
        if not 0 <= index < len(self):
            raise IndexError(
                f"{self.path}: there is no frame {index}; the video has {len(self)} frames"
            )

        # From the nearest start to the file's first frame, until the right frame comes out.
        with unreadable_videos_named(self.path):
            for start in self._starts(index):
                frame = self._reach(index, start)
                if frame is not None:
                    return upright(frame)

        raise InputError(
            f"{self.path}: frame {index:05d} cannot be decoded; re-encode or remove the video"
        )

    def _starts(self, index: int) -> Iterator[int | None]:
        """Frames to start decoding from to reach a frame, nearest first; None: the current one."""
        # Key frames up to the frame.
        keys = self._index.keys[: np.searchsorted(self._index.keys, index, "right")]
        if self._opened is not None and self._opened.position <= index:
            near = not len(keys) or self._opened.position >= keys[-1] - SKIPPED_RATHER_THAN_SOUGHT
            if near or self._back > MOST_KEYS_BACK:
                yield None

        while self._back <= MOST_KEYS_BACK and self._back < len(keys):
            yield int(keys[-self._back])
            # The frame was not reached: in some containers a seek leads behind the key frame.
            self._back += 1

        yield 0

    def _reach(self, index: int, start: int | None) -> "VideoFrame | None":
        """Decode from `start` to a frame; None if it differs from the one of decoding in order."""
        import av

        try:
            # Opening the file anew is the only sure way to its first frame.
            if self._opened is None or start == 0:
                self._opened = _Opened(self.path)
            if start:
                self._opened.seek(int(self._index.stamps[start]), self._numbers)

            frame = self._opened.advance(index)
        except (StopIteration, av.FFmpegError):
            # The state of the decoder is unknown: open the file anew for the next start.
            self._opened = None
            return None

        if frame is None or checksum(frame) != self._index.checksums[index]:
            return None
        return frame


class _Opened:
    """A file that is being decoded, with its current frame and the number of that frame."""

    def __init__(self, path: Path):
        self._container = open_container(path)
        self._video = video_stream(self._container, path)
        self._stream = decoded(self._container, self._video)
        self._current = next(self._stream)
        self.position = 0

    def seek(self, stamp_of_key: int, numbers: dict[int, int]) -> None:
        """Seek to a time stamp; `numbers` gives the number of the frame that comes out there."""
        self._container.seek(stamp_of_key, stream=self._video)
        self._stream = decoded(self._container, self._video)
        self._current = next(self._stream)
        # An unknown place counts as past every frame, so `advance` gives None.
        self.position = numbers.get(stamp(self._current), sys.maxsize)

    def advance(self, index: int) -> "VideoFrame | None":
        """Decode up to a frame; None if decoding is past it or at an unknown place."""
        while self.position < index:
            self._current = next(self._stream)
            self.position += 1

        return self._current if self.position == index else None
