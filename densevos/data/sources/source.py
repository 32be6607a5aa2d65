"""The two contracts that everything downstream of a source relies on: VideoSource and FrameReader.

A source knows its videos and opens any of them. A reader knows the frames of one video and reads
any of them. A reader is opened for one item, such as one clip, and closed with it. So a source that
is sent to another process carries no open file.
"""

# Shapes: H x W pixels of a frame; all frames of one video share one size.

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np


# Both contracts are protocols: sources and readers fulfil them without a common base class.
class FrameReader(Protocol):
    """The frames of one video; `names[i]` is the file stem that belongs to frame i."""

    @property
    def path(self) -> Path | str:
        """Where the video is, for messages only; nothing is read from it."""
        ...

    @property
    def names(self) -> list[str]:
        """One name per frame, unique within the video."""
        ...

    def __len__(self) -> int:
        """Number of frames."""
        ...

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Read frames.

        Args:
            indices: Positions in 0..len-1, in any order; a position may occur twice.

        Returns:
            Frames [len(indices),H,W,3] uint8 RGB, in the order of `indices`.

        Raises:
            InputError: A frame cannot be read; the message names the file.
        """
        ...

    def seconds(self) -> np.ndarray | None:
        """When each frame is shown.

        Returns:
            [frames] in ascending seconds; None if frames have no times, as in a folder.
        """
        ...


@runtime_checkable
class InOrderReader(Protocol):
    """An optional part of a reader: all frames in order, faster than frame by frame."""

    def in_order(self) -> Iterator[np.ndarray]:
        """All frames in order, [H,W,3] uint8 each, identical to those of `read`."""
        ...


class VideoSource(Protocol):
    """Videos to learn from. A source can be pickled: each reading process gets a copy."""

    @property
    def names(self) -> Sequence[str]:
        """A unique folder name for each video; results about the video are written there.

        Raises:
            InputError: Two videos have the same name.
        """
        ...

    @property
    def inputs(self) -> Sequence[Path]:
        """Local files and folders that the source reads; `--overwrite` must not delete them."""
        ...

    def __len__(self) -> int:
        """Number of videos."""
        ...

    def title(self, index: int) -> str:
        """The name of a video in messages and reports, such as its path."""
        ...

    def open(self, index: int) -> FrameReader:
        """Open one video.

        Args:
            index: Number of the video, 0 to len - 1.

        Raises:
            InputError: The video cannot be read. Training then skips it and reports it.
        """
        ...

    def identity(self) -> str:
        """A hash of the list of videos; a run can be resumed only with the same source."""
        ...


def iterate_frames(reader: FrameReader) -> Iterator[np.ndarray]:
    """All frames in order, one [H,W,3] uint8 array at a time."""
    # Decoding in order needs no seek.
    if isinstance(reader, InOrderReader):
        yield from reader.in_order()
        return

    for index in range(len(reader)):
        yield reader.read([index])[0]


def frame_rate(reader: FrameReader) -> float | None:
    """Average number of frames per second; None if frames have no times or there is only one."""
    times = reader.seconds()
    if times is None or times[-1] <= times[0]:
        return None

    # n frames span n - 1 intervals.
    return (len(times) - 1) / float(times[-1] - times[0])
