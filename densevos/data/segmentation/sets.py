"""Sets of images and videos whose pixels have classes: what they hold, and how one is opened by name."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from densevos.data.readers import Excerpt, FrameReader, open_frames
from densevos.data.segmentation.stills import StillReader
from densevos.errors import InputError

VOID = 255
"""Class id of pixels that have no label."""

NAMES = ("coco", "davis", "fbms", "ytbb", "voc", "camvid", "ade20k", "folder", "videos")
"""Sets by name; each is the module of this folder that knows its layout."""


class LabelReader(Protocol):
    """The labels of one shot; a plain object that can be sent to another process."""

    def __call__(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8 of frame `index`, 255 = void; InputError for values outside the class map."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Shot:
    """One image, or the frames of one video.

    name: of the results below an output folder: `car-roundabout`, an image's stem.
    source: frame folder, video file or image.
    labelled: indices of the frames that have labels, ascending; empty where there are none.
    reader: reads the labels of those frames.
    present: names of the classes that the set's own tables say the shot shows somewhere; None where they do not say.
    seconds: the part of the source that is the shot, from, to (inclusive); None: all of it.
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

        Raises InputError when the mask is missing, unreadable, of another size than the frame, or holds values outside
        the class map (with file, value and number of pixels), and ValueError when the frame has no labels.
        """
        if self.reader is None or index not in self.labelled:
            raise ValueError(f"{self.name}: frame {index} has no labels")
        return self.reader(index)


@dataclass(frozen=True, kw_only=True)
class SegmentationSet:
    """Shots of one split.

    classes: name of class id 0, 1, ...; `background` first where everything else is that. Empty for sets that have
        no classes of their own.
    notes: what the user should know, a line each: videos that are missing, tables that were not there.
    """

    name: str
    kind: Literal["images", "video"]
    classes: tuple[str, ...]
    shots: tuple[Shot, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SetOptions:
    """How a set is read.

    labels: whether labels are wanted; without, only frames need to be there.
    wanted: names of the classes to tell apart, id 1, 2, ... after `background`; None: what is usual for the set, which
        is the ten classes that COCO and DAVIS share for coco, davis and ytbb, and the set's own for the others. Each
        by the set's name for it or, where no class has that, by COCO's. Shots without any of them are left out.
    others: what all else becomes: background, or ignored (255).
    table: the user's file of classes, for fbms (default ROOT/classes.csv) and folder (ROOT/classes.txt or .json).
    names: a text file with the names of the images to use, one a line; the others are not looked at. For image sets.
    reannotated: take DAVIS' annotations of 2019, whose ids are not those of davis_semantics.json.
    workers: processes that read masks when very many are to be read; None: one a core.
    """

    labels: bool = True
    wanted: tuple[str, ...] | None = None
    others: Literal["background", "ignore"] = "background"
    table: Path | None = None
    names: Path | None = None
    reannotated: bool = False
    workers: int | None = None


Loader = Callable[[Path, str, SetOptions], SegmentationSet]


def parse_spec(spec: str) -> tuple[str, Path]:
    """`davis:ROOT` -> ("davis", ROOT); InputError when the set is unknown or ROOT is not there."""
    name, colon, root = spec.partition(":")
    if name not in NAMES or not colon or not root:
        raise InputError(f"{spec}: is no SET:ROOT, SET being one of {', '.join(NAMES)}")
    if not Path(root).exists():
        raise InputError(f"{root}: no such folder; {name}:ROOT names where the files of {name} lie")
    return name, Path(root)


def open_set(spec: str, split: str = "train", **options: Any) -> SegmentationSet:
    """The split of a set, `coco:ROOT`; options are those of SetOptions.

    Raises InputError when files are missing (naming the first, and the layout), when labels are wanted and no labelled
    frame shows a wanted class, and when the set is empty.
    """
    name, root = parse_spec(spec)
    load: Loader = importlib.import_module(f"densevos.data.segmentation.{name}").load
    chosen = SetOptions(**options)
    opened = load(root, split, chosen)
    if not opened.shots:
        raise InputError(f"{spec}: holds nothing to learn from in split {split}; give it images or videos")
    if chosen.labels and not any(shot.labelled for shot in opened.shots):
        raise InputError(f"{spec}: no frame of split {split} has labels; pass it as --unlabelled, or add masks")
    return opened


def excerpt(frames: FrameReader, start: float, stop: float) -> Excerpt:
    """The frames shown from `start` to `stop` seconds; a folder's frames are taken to be 30 a second.

    Raises InputError when the video ends before.
    """
    times = frames.seconds()
    times = np.arange(len(frames)) / 30 if times is None else times
    first, last = np.searchsorted(times, [start - 1e-6, stop + 1e-6])
    if first == last:
        raise InputError(f"{frames.path}: ends before {start:.1f} s, where its annotation begins; get the video again")
    return Excerpt(frames, int(first), int(last))


def class_counts(opened: SegmentationSet, *, masks: bool = False, workers: int | None = None) -> dict[str, int]:
    """How many frames have each class, background left out.

    Where the set's tables say what a video shows, all its (labelled) frames count, as the papers count DAVIS; `masks`
    reads every mask instead and counts the frames that show the class. workers: processes; all cores by default.
    """
    from densevos.data.segmentation.presence import count_frames

    return count_frames(opened, masks=masks, workers=workers)
