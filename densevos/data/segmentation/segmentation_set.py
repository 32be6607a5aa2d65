"""Sets of images and videos whose pixels have classes: what they hold, and how they are read."""

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
    """The labels of one shot; a plain object that can be sent to another process."""

    def __call__(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8 of frame `index`, 255 = void; InputError for values outside the
        class map.
        """
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One image, or the frames of one video.

    name: of the results below an output folder: `car-roundabout`, an image's stem.
    source: frame folder, video file or image.
    labelled: indices of the frames that have labels, ascending; empty where there are none.
    reader: reads the labels of those frames.
    present: names of the classes that the set's own tables say the shot shows somewhere; None where
    they do not say. seconds: the part of the source that is the shot, from, to (inclusive); None:
    all of it.
    """

    name: str
    source: Path
    labelled: tuple[int, ...] = ()
    reader: LabelReader | None = None
    present: frozenset[str] | None = None
    seconds: tuple[float, float] | None = None

    def open(self) -> FrameReader:
        """The frames; InputError when the source is missing or unreadable."""
        if self.source.is_file() and StillReader.reads(self.source):
            return StillReader(self.source)

        frames = open_frames(self.source)
        return frames if self.seconds is None else excerpt(frames, *self.seconds)

    def labels(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8 of frame `index`, 255 = void.

        Raises InputError when the mask is missing, unreadable, of another size than the frame, or
        holds values outside the class map (with file, value and number of pixels), and ValueError
        when the frame has no labels.
        """
        if self.reader is None or index not in self.labelled:
            raise ValueError(f"{self.name}: frame {index} has no labels")

        return self.reader(index)


@dataclass(frozen=True, kw_only=True)
class SegmentationSet:
    """Shots of one split.

    classes: name of class id 0, 1, ...; `background` first where everything else is that. Empty for
    sets that have
        no classes of their own.
    notes: what the user should know, a line each: videos that are missing, tables that were not
    there.
    """

    name: str
    kind: Literal["images", "video"]
    classes: tuple[str, ...]
    shots: tuple[Shot, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SetReading(SetOptions):
    """How a set is read: the user's options, and what the program needs of it.

    labels: whether labels are wanted; without, only frames need to be there.
    workers: processes that read masks when very many are to be read; None: one a core.
    """

    labels: bool = True
    workers: int | None = None


Loader = Callable[[Path, SetReading], SegmentationSet]


def excerpt(frames: FrameReader, start: float, stop: float) -> Excerpt:
    """The frames shown from `start` to `stop` seconds; a folder's frames are taken to be 30 a
    second.

    Raises InputError when the video ends before.
    """
    times = frames.seconds()
    times = np.arange(len(frames)) / 30 if times is None else times
    first, last = np.searchsorted(times, [start - 1e-6, stop + 1e-6])

    if first == last:
        raise InputError(
            f"{frames.path}: ends before {start:.1f} s, where its annotation begins; get the video again"
        )

    return Excerpt(frames, int(first), int(last))
