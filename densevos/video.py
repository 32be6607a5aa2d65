"""Read videos from Python scripts."""

# Shapes: n frames, H x W pixels

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from densevos.data.sources.source import FrameReader, iterate_frames
from densevos.data.sources.video import open_frames


def open_video(path: Path | str) -> "Video":
    """Open a video file, or a folder of images as a video.

    Args:
        path: The file or folder.

    Returns:
        The video; its frames are decoded when they are asked for.

    Raises:
        InputError: The video is missing, empty or unreadable.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from PIL import Image
    >>> from densevos import open_video
    >>> folder = Path(mkdtemp())
    >>> for t in range(3):
    ...     Image.new("RGB", (64, 48), "grey").save(folder / f"{t:05d}.jpg")
    >>> video = open_video(folder)
    >>> len(video), video[0].shape, video[1:].shape
    (3, (48, 64, 3), (2, 48, 64, 3))
    """
    return Video(open_frames(path))


# A script sees arrays alone; the readers of files and folders stay behind this class.
class Video:
    """The frames of one video as arrays [H,W,3] uint8 RGB, in order or by index.

    `for frame in video` decodes one frame after the other, so memory does not grow with the length
    of the video. `video[3]` is one frame, `video[10:20:2]` are frames [n,H,W,3]. `names` are the
    file names, without their endings, of the masks that belong to the frames.

    Args:
        reader: Reads the frames.
    """

    def __init__(self, reader: FrameReader):
        self.reader = reader

    def __repr__(self) -> str:
        return f"Video({str(self.path)!r}, frames={len(self)})"

    @property
    def path(self) -> Path | str:
        """Path of the video."""
        return self.reader.path

    @property
    def names(self) -> list[str]:
        """One name per frame: its file name without ending, or its number, such as 00012."""
        return self.reader.names

    def __len__(self) -> int:
        return len(self.reader)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iterate_frames(self.reader)

    def __getitem__(self, index: int | slice) -> np.ndarray:
        # A range resolves negative indices and slices, and raises IndexError as a list does.
        selected = range(len(self))[index]
        # A slice keeps its first axis even for one frame, as with NumPy arrays.
        if isinstance(selected, range):
            return self.read(selected)

        # A single index drops the axis of frames: [H,W,3].
        frame: np.ndarray = self.read([selected])[0]
        return frame

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Decode frames.

        Args:
            indices: Numbers of frames, in any order.

        Returns:
            The frames [n,H,W,3] uint8 RGB, in the order of `indices`.

        Raises:
            InputError: A frame cannot be read; the message names its file.
        """
        return self.reader.read(indices)

    def seconds(self) -> np.ndarray | None:
        """The time of each frame.

        Returns:
            Times [n] in seconds, or None if frames have no times, as in a folder of images.
        """
        return self.reader.seconds()
