"""Videos as scripts open them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from densevos.data.sources.source import FrameReader, iterate_frames
from densevos.data.sources.video import open_frames


def open_video(path: Path | str) -> "Video":
    """Open a video file, or a folder of images as a video.

    Raises:
        InputError: It is missing, empty or unreadable.
    """
    return Video(open_frames(path))


class Video:
    """The frames of one video, [H,W,3] uint8 RGB each, to go through in order or to pick from.

    `for frame in video` decodes one after the other, so that memory does not grow with the video.
    `video[3]` is one frame, and `video[10:20:2]` are frames [n,H,W,3]. `names` are the stems of the
    masks that belong to the frames.
    """

    def __init__(self, reader: FrameReader):
        self.reader = reader

    def __repr__(self) -> str:
        return f"Video({str(self.path)!r}, frames={len(self)})"

    @property
    def path(self) -> Path | str:
        """Where the video is."""
        return self.reader.path

    @property
    def names(self) -> list[str]:
        """One name a frame: the stem of its file in a folder, or its number, such as 00012."""
        return self.reader.names

    def __len__(self) -> int:
        return len(self.reader)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iterate_frames(self.reader)

    def __getitem__(self, index: int | slice) -> np.ndarray:
        places = range(len(self))[index]  # Raises IndexError as a list does.
        return self.read(places) if isinstance(places, range) else self.read([places])[0]

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames [n,H,W,3] uint8 of these indices, in this order; InputError names the file that
        cannot be read.
        """
        return self.reader.read(indices)

    def seconds(self) -> np.ndarray | None:
        """When each frame is shown, [frames] in seconds; None where frames have no times, as in a
        folder.
        """
        return self.reader.seconds()
