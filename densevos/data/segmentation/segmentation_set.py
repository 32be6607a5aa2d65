"""Sets of images and videos whose pixels have classes: what they hold and how they are read."""

# Shapes: H x W pixels of a frame.

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np

from densevos.base.errors import InputError
from densevos.config.sets import SetOptions
from densevos.data.sources.excerpt import Excerpt
from densevos.data.sources.images import StillReader
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video import open_frames


class LabelReader(Protocol):
    """Reads the labels of one shot; a plain object that can be sent to another process."""

    def __call__(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8 of frame `index`, 255 = void.

        Raises:
            InputError: The mask cannot be read, or holds values outside the class map.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One image, or the frames of one video."""

    name: str
    """Name of its results below an output folder: `car-roundabout`, or an image's stem."""
    source: Path
    """Frame folder, video file or image."""
    labelled: tuple[int, ...] = ()
    """Indices of the frames that have labels, ascending."""
    reader: LabelReader | None = None
    """Reads the labels of the labelled frames."""
    present: frozenset[str] | None = None
    """Names of the classes that the shot shows, according to the set's tables; None if the set has
    no such table.
    """
    seconds: tuple[float, float] | None = None
    """First and last second of the part of the source that is the shot; None for all of it."""

    def open(self) -> FrameReader:
        """Open the frames.

        Raises:
            InputError: The source is missing or unreadable.
        """
        # An image is a video of one frame.
        if self.source.is_file() and StillReader.reads(self.source):
            return StillReader(self.source)

        # Some sets annotate only some seconds of a longer video.
        frames = open_frames(self.source)
        return frames if self.seconds is None else excerpt(frames, *self.seconds)

    def labels(self, index: int) -> np.ndarray:
        """Read the labels of a frame.

        Args:
            index: Index of the frame.

        Returns:
            Class ids [H,W] uint8, 255 = void.

        Raises:
            InputError: The mask is missing, is unreadable, has another size than the frame, or
                holds values outside the class map.
            ValueError: The frame has no labels.
        """
        # An error of the program, not of the data: hence no InputError.
        if self.reader is None or index not in self.labelled:
            raise ValueError(f"{self.name}: frame {index} has no labels")

        return self.reader(index)


@dataclass(frozen=True, kw_only=True)
class SegmentationSet:
    """The shots of one split of a set."""

    name: str
    """Name of the set, such as `davis`."""
    kind: Literal["images", "video"]
    """Whether its shots are images or videos."""
    classes: tuple[str, ...]
    """Names of class ids 0, 1, ...; `background` comes first if the set has it. Empty for sets
    without classes.
    """
    shots: tuple[Shot, ...]
    """The images or videos of the split."""
    notes: tuple[str, ...] = ()
    """One line for each thing that the user should know, such as missing videos or tables."""


@dataclass(frozen=True, kw_only=True)
class SetReading(SetOptions):
    """How a set is read: the user's options, and what the program needs from the set."""

    labels: bool = True
    """Whether labels are read; without labels only the frames must exist."""
    workers: int | None = None
    """Number of processes that read masks if there are very many; None uses all cores."""


Loader = Callable[[Path, SetReading], SegmentationSet]


def excerpt(frames: FrameReader, start: float, stop: float) -> Excerpt:
    """The frames that a video shows during some seconds.

    Args:
        frames: The frames of the video. A folder of frames is read at 30 frames per second.
        start: First second.
        stop: Last second, inclusive. A part that lies between two frames is the nearest one.

    Raises:
        InputError: The video ends before `start`.
    """
    times = frames.seconds()
    if times is None:
        times = np.arange(len(frames)) / 30

    # Times of frames are rounded, hence the tolerance.
    first, last = np.searchsorted(times, [start - 1e-6, stop + 1e-6])

    if first < last:
        return Excerpt(frames, int(first), int(last))

    # Nothing is shown from then on, as in a download that was cut short.
    if first == len(times):
        raise InputError(
            f"{frames.path}: ends before {start:.1f} s, where its annotation starts; get the video"
            " again"
        )

    # A single instant, such as that of one box, seldom is exactly the time of a frame.
    middle = (start + stop) / 2
    nearest = int(np.abs(times - middle).argmin())
    return Excerpt(frames, nearest, nearest + 1)
