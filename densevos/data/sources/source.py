"""What a source of videos is: the two contracts that everything downstream of a source relies on.

A source knows its videos and opens any of them. A reader knows the frames of one video and reads
any of them. A reader is opened for one item (one clip, say) and no reader outlives that item, so a
source that is sent to another process carries no open file.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np


class FrameReader(Protocol):
    """Frames of one video; `names[i]` is the file stem that belongs to frame i."""

    @property
    def path(self) -> Path | str:
        """Where the video is. Messages name it; nothing is read from it."""
        ...

    @property
    def names(self) -> list[str]:
        """One name a frame, unique within the video."""
        ...

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames [len(indices),H,W,3] uint8 RGB; InputError names the file that cannot be read."""
        ...

    def seconds(self) -> np.ndarray | None:
        """When each frame is shown, [frames] in ascending seconds; None where frames have no times,
        as in a folder.
        """
        ...


@runtime_checkable
class InOrderReader(Protocol):
    """What a reader may have besides: a way through the whole video that is quicker than reading
    frame by frame.
    """

    def in_order(self) -> Iterator[np.ndarray]:
        """All frames in order, [H,W,3] uint8 each, the same as `read` gives."""
        ...


class VideoSource(Protocol):
    """Videos to learn from. An object that can be pickled: reading processes get a copy of it."""

    @property
    def names(self) -> Sequence[str]:
        """A folder name for each video, unique, under which results about it are written.

        Raises:
            InputError: Two videos cannot be told apart by name.
        """
        ...

    @property
    def inputs(self) -> Sequence[Path]:
        """Local files and folders that are read, which `--overwrite` must not delete; empty if
        there are none.
        """
        ...

    def __len__(self) -> int:
        """Number of videos."""
        ...

    def title(self, index: int) -> str:
        """Where a video is, as messages and reports name it: its path, say."""
        ...

    def open(self, index: int) -> FrameReader:
        """Open one video, 0 to len - 1.

        Raises:
            InputError: The video cannot be read. Training then leaves it out and reports it.
        """
        ...

    def identity(self) -> str:
        """A hash of the list of videos. A run is resumed only with the source that it started
        with.
        """
        ...


def iterate_frames(reader: FrameReader) -> Iterator[np.ndarray]:
    """All frames in order, one [H,W,3] uint8 array at a time."""
    if isinstance(reader, InOrderReader):
        yield from reader.in_order()
        return

    for index in range(len(reader)):
        yield reader.read([index])[0]


def frame_rate(reader: FrameReader) -> float | None:
    """Frames a second, on average; None where frames have no times, and for a single frame."""
    times = reader.seconds()
    return (
        None
        if times is None or times[-1] <= times[0]
        else (len(times) - 1) / float(times[-1] - times[0])
    )
