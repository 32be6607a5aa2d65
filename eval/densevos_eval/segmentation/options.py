"""What semantic segmentation is run on and scored against: options, without torch."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from densevos.base.errors import InputError
from densevos.base.parallel import BROKEN, Broken
from densevos.data.segmentation.classes import same_classes
from densevos.data.segmentation.registry import open_set
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot
from densevos.data.sources.readers import FrameReader
from densevos_eval.own_video import own_video
from densevos_eval.sequences import Sequence

SetName = Literal["davis", "camvid", "coco", "fbms", "ade20k", "voc", "folder"]


@dataclass(frozen=True, kw_only=True)
class Material:
    """Videos and images to segment.

    open: reads the frames of each sequence. classes: what masks are to hold; None: whatever the model knows.
    facts: what of it the masks depend on. broken: sequences whose frames cannot be read. notes: what the user should
    know of the set, a line each.
    """

    sequences: list[Sequence]
    open: Mapping[str, Callable[[], FrameReader]]
    classes: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    broken: Mapping[str, Broken] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class SetReading:
    """Which set, and how it is read; see densevos.data.segmentation.segmentation_set.SetOptions."""

    dataset: SetName | None = None
    """Layout of the files."""
    root: Path | None = None
    """Folder of the set."""
    split: str = "val"
    """Name of the part of the set."""
    classes: tuple[str, ...] = ()
    """Names of the classes to tell apart besides background; left out: of coco and davis the ten that both have, of
    other sets their own."""
    others: Literal["background", "ignore"] = "background"
    """What all other objects count as: background, or nothing."""
    table: Path | None = None
    """Your table of classes, for fbms (usually ROOT/classes.csv) and folder (ROOT/classes.txt or .json)."""
    names: Path | None = None
    """A text file with the names of the images to use, one a line."""
    reannotated: bool = False
    """Of davis: take the annotations of 2019, whose ids are not those of davis_semantics.json."""

    def open(self, *, labels: bool) -> SegmentationSet:
        """The set; InputError when files are missing, or hold nothing that is wanted."""
        return open_set(
            f"{self.dataset}:{self.root}",
            self.split,
            labels=labels,
            wanted=self.classes or None,
            others=self.others,
            table=self.table,
            names=self.names,
            reannotated=self.reannotated,
        )


@dataclass(frozen=True, kw_only=True)
class Pictures(SetReading):
    """What to segment: a set, or one's own video."""

    frames: Literal["labelled", "all"] = "labelled"
    """Of a set: the frames that have labels, which score asks for; or all of them, also of what has no labels."""
    video: Path | None = None
    """Instead of a set: a video file or a folder of frames."""
    start: str | None = None
    """First frame of the video to use: its number, or seconds such as 3.5s."""
    end: str | None = None
    """Last frame of the video to use."""

    def __post_init__(self) -> None:
        for name, usual in asdict(SetReading()).items():
            if self.video and name not in ("dataset", "root") and getattr(self, name) != usual:
                raise InputError(f"--{name}: is for a --dataset, not for a --video; leave it out")

    def load(self) -> Material:
        """The sequences; InputError when neither or both kinds are named, or files are missing."""
        if self.video and not (self.dataset or self.root):
            own = own_video(self.video, None, start=self.start, end=self.end)
            return Material(sequences=[own], open={own.name: own.frames})
        if self.dataset and self.root and not (self.video or self.start or self.end):
            return self._of_set()
        raise InputError("segment: give --dataset and --root, or a --video (and its --start, --end)")

    def _of_set(self) -> Material:
        found = self.open(labels=self.frames == "labelled")
        sequences, broken = [], {}
        for shot in found.shots:
            outcome = _sequence(shot, labelled=self.frames == "labelled")
            if isinstance(outcome, BROKEN):
                broken[shot.name] = outcome
            sequences.append(outcome if isinstance(outcome, Sequence) else _unread(shot))
        return Material(
            sequences=sequences,
            open={shot.name: shot.open for shot in found.shots},
            classes=found.classes or None,
            facts={"dataset": self.dataset, "split": self.split, "frames": self.frames},
            broken=broken,
            notes=found.notes,
        )


def _sequence(shot: Shot, *, labelled: bool) -> Sequence | Broken:
    """The shot as a sequence whose labelled frames are asked for, or all of them."""
    try:
        names = tuple(shot.open().names)
    except BROKEN as error:
        return error
    whole = replace(_unread(shot), frame_names=names)
    return replace(whole, required=tuple(names[index] for index in shot.labelled)) if labelled else whole


def _unread(shot: Shot) -> Sequence:
    return Sequence(name=shot.name, source=shot.source, frame_names=())


def ids_by_name(known: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """Which id [len(known)] uint8 among `wanted` each class has that a model knows, by the same rule as in training.

    Those that are not wanted become background, where that is. Raises InputError where it is not, and for a class that
    is wanted but not known.
    """
    ids = same_classes(known, wanted)
    for id, name in enumerate(wanted):
        if id not in ids.values():
            raise InputError(
                f"--model: does not know {name}, a class of the set; it knows {', '.join(known)}; choose among them"
                " with --classes, or take another model"
            )
    rest = wanted.index("background") if "background" in wanted else None
    if rest is None and (strange := [name for name in known if name not in ids]):
        raise InputError(f"--model: knows {strange[0]}, which is no class of the set: {', '.join(wanted)}")
    return np.array([ids.get(name, rest) for name in known], np.uint8)
