"""What semantic segmentation is run on and scored against: options, without torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from densevos.base.errors import InputError
from densevos.base.parallel import BROKEN, Broken
from densevos.data.segmentation.classes import same_classes
from densevos.data.segmentation.segmentation_set import Shot
from densevos.data.sources.source import FrameReader
from densevos_eval.inputs.labelled_set import ChosenSet
from densevos_eval.sequences.own_video import own_video
from densevos_eval.sequences.sequence import VideoSequence


@dataclass(frozen=True, kw_only=True)
class Material:
    """Videos and images to segment.

    open: reads the frames of each sequence. classes: what masks are to hold; None: whatever the
    model knows. facts: what of it the masks depend on. broken: sequences whose frames cannot be
    read. notes: what the user should know of the set, a line each.
    """

    sequences: list[VideoSequence]
    open: Mapping[str, Callable[[], FrameReader]]
    classes: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    broken: Mapping[str, Broken] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pictures(ChosenSet):
    """What to segment: a set, or one's own video."""

    frames: Literal["labelled", "all"] = "labelled"
    """Frames of a set to segment: those that have labels, which score asks for, or all, also of
    what has no labels.
    """
    video: Path | None = None
    """A video file or a folder of frames, instead of a set."""
    start: str | None = None
    """First frame of the video to use: its number, or seconds such as 3.5s."""
    end: str | None = None
    """Last frame of the video to use."""

    def __post_init__(self) -> None:
        for one in fields(ChosenSet):
            if self.video and one.name != "set" and getattr(self, one.name) != one.default:
                raise InputError(f"--{one.name}: is for a --set, not for a --video; leave it out")

    def load(self) -> Material:
        """The sequences; InputError when neither or both kinds are named, or files are missing."""
        if self.video and not self.set:
            own = own_video(self.video, None, start=self.start, end=self.end)
            return Material(sequences=[own], open={own.name: own.frames})

        if self.set and not (self.video or self.start or self.end):
            return self._of_set()

        raise InputError("segment: give a --set, or a --video (and its --start, --end)")

    def _of_set(self) -> Material:
        found = self.open(labels=self.frames == "labelled")
        sequences, broken = [], {}
        for shot in found.shots:
            outcome = _sequence(shot, labelled=self.frames == "labelled")
            if isinstance(outcome, BROKEN):
                broken[shot.name] = outcome
            sequences.append(outcome if isinstance(outcome, VideoSequence) else _unread(shot))

        return Material(
            sequences=sequences,
            open={shot.name: shot.open for shot in found.shots},
            classes=found.classes or None,
            facts={"dataset": found.name, "split": self.split, "frames": self.frames},
            broken=broken,
            notes=found.notes,
        )


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """The trained segmentation network, and how it is used."""

    model: Path
    """Run folder of densevos train i2v_cnn (or another i2v recipe), or a model.safetensors."""
    size: int | None = None
    """Frames are scaled to this short side, pixels, for the network. Without this option it is the
    side of the crops in training, which is the least that the recipes scale short sides to
    there."""
    adapt_statistics: bool = False
    """First estimate BatchNorm's running statistics anew on the frames to segment (AdaBN). This
    needs no labels and no training; it is what any adaptation has to beat. At most 256 frames are
    read for it, evenly spread."""
    overlays: bool = False
    """Draw the masks over the frames too, with a legend: OUT/overlays/SEQUENCE/FRAME.jpg."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, ...; auto takes a GPU where there is one, also that of a Mac
    (mps).
    """

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 32:
            raise InputError(f"--size: must be 32 pixels or more, is {self.size}")


def _sequence(shot: Shot, *, labelled: bool) -> VideoSequence | Broken:
    """The shot as a sequence whose labelled frames are asked for, or all of them."""
    try:
        names = tuple(shot.open().names)
    except BROKEN as error:
        return error

    whole = replace(_unread(shot), frame_names=names)
    return (
        replace(whole, required=tuple(names[index] for index in shot.labelled))
        if labelled
        else whole
    )


def _unread(shot: Shot) -> VideoSequence:
    return VideoSequence(name=shot.name, source=shot.source, frame_names=())


def ids_by_name(known: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """Which id [len(known)] uint8 among `wanted` each class has that a model knows, by the same
    rule as in training.

    Those that are not wanted become background, where that is. Raises InputError where it is not,
    and for a class that is wanted but not known.
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
        raise InputError(
            f"--model: knows {strange[0]}, which is no class of the set: {', '.join(wanted)}"
        )

    return np.array([ids.get(name, rest) for name in known], np.uint8)
