"""Metrics of the shots of a labelled set: what they share."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import read_mask
from densevos.base.names import mask_file as png_of
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot
from densevos_eval.metrics.metric import Fingerprints, Metric
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.runs.records import SEGMENTED


@dataclass(frozen=True, kw_only=True)
class ShotMetric(Metric[Shot]):
    """A metric of the shots of one labelled set; a subclass says `name`, `measure` and `combine`.

    Masks hold class ids and lie in FOLDER/SHOT/FRAME.png, those of images perhaps in
    FOLDER/SHOT.png.
    """

    labelled: SegmentationSet

    @property
    def dataset(self) -> str:
        """Name of the labelled set."""
        return self.labelled.name

    def check(self, items: Sequence[Shot], folders: Mapping[str, Path]) -> None:
        """Raise InputError if nothing has labels, or the masks were written for other classes."""
        if not any(shot.labelled for shot in items):
            raise InputError(f"--set {self.dataset}: has no labels, so there is nothing to score")

        for folder in dict.fromkeys(folders.values()):
            check_classes(folder, self.labelled.classes)

    def frames(self, item: Shot) -> tuple[str, ...]:
        """The frames that have labels."""
        names = item.open().names
        return tuple(names[index] for index in item.labelled)

    def fingerprints(self, item: Shot, folder: Path) -> Fingerprints:
        """Of the mask files, and of the labels as class ids, whatever files the set keeps them
        in.
        """
        annotations = hashlib.sha256()
        for index in item.labelled:
            truth = item.labels(index)
            annotations.update(f"{truth.shape}".encode() + truth.tobytes())

        files = [mask_file(folder, item, frame) for frame in self.frames(item)]
        return Fingerprints(masks=fingerprint(files), annotations=annotations.hexdigest())

    def facts(self, item: Shot) -> object:
        """The names of the classes, and which frames have labels."""
        return [self.labelled.classes, item.name, item.labelled]


def mask_file(folder: Path, shot: Shot, frame: str) -> Path:
    """Where the mask of a frame lies: in the folder of its shot; of an image perhaps beside those
    of the others.
    """
    beside = png_of(folder, shot.name)
    return (
        beside
        if shot.source.stem == frame and beside.is_file()
        else png_of(folder / shot.name, frame)
    )


def read_classes(file: Path, shape: tuple[int, ...], classes: tuple[str, ...]) -> np.ndarray:
    """Class ids [H,W] uint8 of a mask.

    Raises InputError when it is missing or unreadable, not of this shape, or holds an id that is no
    class.
    """
    ids = read_mask(file)
    if ids.shape != shape:
        raise InputError(
            f"{file}: mask is {ids.shape[1]}x{ids.shape[0]} but its labels are {shape[1]}x{shape[0]}; write it at the"
            " size of the frame"
        )

    if (highest := int(ids.max())) >= len(classes):
        raise InputError(
            f"{file}: {np.sum(ids == highest)} pixels have id {highest}, but the {len(classes)} classes are 0"
            f" ({classes[0]}) to {len(classes) - 1} ({classes[-1]}); write ids of these"
        )

    return ids


def check_classes(results: Path, classes: Iterable[str]) -> None:
    """Raise InputError when densevos-eval segment wrote the masks with other ids than those of
    `classes`.
    """
    try:
        written = json.loads((results / SEGMENTED).read_text(encoding="utf-8"))["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # Masks of someone else, who is trusted to know the ids.

    if written != list(classes):
        raise InputError(
            f"{results / SEGMENTED}: masks hold the classes {', '.join(map(str, written))}, the set has"
            f" {', '.join(classes)}; segment again with the same set and classes"
        )
