"""Options of semantic segmentation: what to segment, and with which network.

This module does not import torch, so that a command's help appears quickly.
"""

from collections.abc import Callable, Iterable, Mapping
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
class SegmentationInput:
    """Videos and images to segment.

    sequences: all of them, also those whose frames cannot be read.
    open: sequence name -> function that opens its frames.
    classes: classes that the masks hold, in the order of their ids; None: those of the model.
    facts: settings of the input that the masks depend on.
    broken: sequence name -> error, for sequences whose frames cannot be read.
    notes: remarks on the set for the user, a line each.
    """

    sequences: list[VideoSequence]
    open: Mapping[str, Callable[[], FrameReader]]
    classes: tuple[str, ...] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    broken: Mapping[str, Broken] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pictures(ChosenSet):
    """What to segment: a labelled set, or one's own video."""

    frames: Literal["labelled", "all"] = "labelled"
    """Frames of a set to segment: only the labelled ones, which score needs, or all, including
    those of videos without labels.
    """
    video: Path | None = None
    """A video file or a folder of frames, instead of a set."""
    start: str | None = None
    """First frame of the video to use: its number, or seconds such as 3.5s."""
    end: str | None = None
    """Last frame of the video to use."""

    def __post_init__(self) -> None:
        if not self.video:
            return

        # The options of a set are inherited, but mean nothing for a video.
        for option in fields(ChosenSet):
            if option.name != "set" and getattr(self, option.name) != option.default:
                raise InputError(
                    f"--{option.name}: is for a --set, not for a --video; leave it out"
                )

    def load(self) -> SegmentationInput:
        """Find the sequences of the set, or the one of the video.

        Raises:
            InputError: if neither or both of a set and a video are named, or files are missing.
        """
        # One's own video: its classes are those of the model, and all its frames are segmented.
        if self.video and not self.set:
            own = own_video(self.video, None, start=self.start, end=self.end)
            return SegmentationInput(sequences=[own], open={own.name: own.frames})

        if self.set and not (self.video or self.start or self.end):
            return self._of_set()

        raise InputError("segment: give a --set, or a --video (and its --start, --end)")

    def _of_set(self) -> SegmentationInput:
        labelled = self.frames == "labelled"
        dataset = self.open(labels=labelled)
        facts = {"dataset": dataset.name, "split": self.split, "frames": self.frames}
        return replace(
            input_of(dataset.shots, labelled=labelled),
            classes=dataset.classes or None,
            facts=facts,
            notes=dataset.notes,
        )


@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which trained segmentation network to run, and how."""

    model: Path
    """Run folder of densevos train i2v_cnn (or another i2v recipe), or a model.safetensors."""
    size: int | None = None
    """Short side that frames are scaled to for the network, in pixels. By default it is the side of
    the crops in training."""
    adapt_statistics: bool = False
    """Estimate BatchNorm's running statistics on the frames to segment before segmenting them
    (AdaBN). This needs no labels and no training, and is the baseline of every adaptation. At most
    256 frames are read for it, evenly spread."""
    adapt_from: str | None = None
    """Estimate the statistics on another set without labels, SET:ROOT, such as videos:my_videos; of
    all sets but videos the split train is read. Take videos that look like those to segment. By
    default the statistics are estimated on the frames to segment."""
    adapt_layers: tuple[str, ...] = ()
    """Estimate the statistics of these layers only, by what their names begin with, such as
    backbone.bn1 backbone.layer1. By default all are estimated."""
    overlays: bool = False
    """Also write the masks drawn over the frames, with a legend, as
    OUT/overlays/SEQUENCE/FRAME.jpg."""
    device: str = "auto"
    """Device to compute on: cpu, cuda, cuda:1, mps, ...; auto takes a GPU, also that of a Mac
    (mps), if there is one.
    """

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 32:
            raise InputError(f"--size: must be 32 pixels or more, is {self.size}")

        if self.adapt_statistics:
            return

        if self.adapt_layers:
            raise InputError(
                f"--adapt-layers {self.adapt_layers[0]}: chooses among the layers of"
                " --adapt-statistics; give that option too"
            )
        if self.adapt_from is not None:
            raise InputError(
                f"--adapt-from {self.adapt_from}: chooses the frames of --adapt-statistics; give"
                " that option too"
            )


def input_of(shots: Iterable[Shot], *, labelled: bool) -> SegmentationInput:
    """The images and videos of a set as an input; those that cannot be opened are `broken`.

    Args:
        shots: images and videos.
        labelled: whether only their labelled frames are to be segmented, or all.
    """
    sequences: list[VideoSequence] = []
    opened: dict[str, Callable[[], FrameReader]] = {}
    broken: dict[str, Broken] = {}
    for shot in shots:
        opened[shot.name] = shot.open
        # A broken sequence stays in the list, so that the run reports it by name.
        try:
            sequences.append(_sequence(shot, labelled=labelled))
        except BROKEN as error:
            broken[shot.name] = error
            sequences.append(_unread(shot))

    return SegmentationInput(sequences=sequences, open=opened, broken=broken)


def _sequence(shot: Shot, *, labelled: bool) -> VideoSequence:
    """The shot as a sequence whose masks are required for labelled frames only, or for all."""
    names = tuple(shot.open().names)
    sequence = replace(_unread(shot), frame_names=names)
    if not labelled:
        return sequence

    return replace(sequence, required=tuple(names[index] for index in shot.labelled))


def _unread(shot: Shot) -> VideoSequence:
    return VideoSequence(name=shot.name, source=shot.source, frame_names=())


def ids_by_name(model_classes: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """Map the classes of a model to the ids of the wanted classes, by the same rule as in training.

    Args:
        model_classes: names of the model's classes.
        wanted: names of the classes that masks are to hold. If "background" is one of them, classes
            that are not wanted become background.

    Returns:
        Id in the masks of each of the model's classes, [len(model_classes)] uint8.

    Raises:
        InputError: if the model does not know a wanted class, or if it knows a class that is not
            wanted and there is no background.
    """
    ids = same_classes(model_classes, wanted)
    # A wanted class that the model never predicts would score 0 without a reason to be seen.
    for id, name in enumerate(wanted):
        if id not in ids.values():
            raise InputError(
                f"--model: does not know {name}, a class of the set; it knows"
                f" {', '.join(model_classes)}; choose among them with --wanted, or take another"
                " model"
            )

    background = wanted.index("background") if "background" in wanted else None
    unwanted = [name for name in model_classes if name not in ids]
    if unwanted and background is None:
        raise InputError(
            f"--model: knows {unwanted[0]}, which is no class of the set: {', '.join(wanted)}"
        )

    return np.array([ids.get(name, background) for name in model_classes], np.uint8)
