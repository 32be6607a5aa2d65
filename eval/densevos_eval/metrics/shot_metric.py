"""What metrics of the shots of a labelled set share."""

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
    """A metric of the shots of one labelled set.

    A subclass defines `name`, `measure` and `combine`. Masks hold class ids and lie in
    FOLDER/SHOT/FRAME.png; masks of images may lie in FOLDER/SHOT.png instead.

    Attributes:
        labelled: The labelled set.
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

        # Most items share one folder, which is checked once.
        for folder in dict.fromkeys(folders.values()):
            check_classes(folder, self.labelled.classes)

    def frames(self, item: Shot) -> tuple[str, ...]:
        """Names of the frames that have labels."""
        names = item.open().names
        return tuple(names[index] for index in item.labelled)

    def fingerprints(self, item: Shot, folder: Path) -> Fingerprints:
        """Hashes of the mask files, and of the labels as class ids."""
        # Sets keep labels in many kinds of files, so the ids are hashed, not the files.
        annotations = hashlib.sha256()
        for index in item.labelled:
            truth = item.labels(index)
            # The same bytes in another shape are other labels.
            annotations.update(f"{truth.shape}".encode() + truth.tobytes())

        files = [mask_file(folder, item, frame) for frame in self.frames(item)]
        return Fingerprints(masks=fingerprint(files), annotations=annotations.hexdigest())

    def facts(self, item: Shot) -> object:
        """The names of the classes, and which frames have labels."""
        return [self.labelled.classes, item.name, item.labelled]


def mask_file(folder: Path, shot: Shot, frame: str) -> Path:
    """Path of the mask of a frame: SHOT/FRAME.png, or SHOT.png if the shot is an image.

    Args:
        folder: Folder of the masks of all shots.
        shot: The shot.
        frame: Name of the frame.
    """
    # The one frame of an image has the name of its file, so only such a shot may have SHOT.png.
    image_mask = png_of(folder, shot.name)
    if shot.source.stem == frame and image_mask.is_file():
        return image_mask

    return png_of(folder / shot.name, frame)


def read_classes(file: Path, shape: tuple[int, ...], classes: tuple[str, ...]) -> np.ndarray:
    """Read a mask of class ids.

    Args:
        file: The mask.
        shape: [H,W] of its labels.
        classes: Names of the classes, in the order of their ids.

    Returns:
        Class ids [H,W] uint8.

    Raises:
        InputError: The mask is missing or unreadable, has another shape, or holds an id that is no
            class.
    """
    ids = read_mask(file)
    if ids.shape != shape:
        raise InputError(
            f"{file}: mask is {ids.shape[1]}x{ids.shape[0]} but its labels are"
            f" {shape[1]}x{shape[0]}; write it at the size of the frame"
        )

    highest = int(ids.max())
    if highest >= len(classes):
        raise InputError(
            f"{file}: {np.sum(ids == highest)} pixels have id {highest}, but the"
            f" {len(classes)} classes are 0 ({classes[0]}) to {len(classes) - 1} ({classes[-1]});"
            " write ids of these"
        )

    return ids


def check_classes(results: Path, classes: Iterable[str]) -> None:
    """Check that `densevos-eval segment` wrote masks of these classes.

    Args:
        results: Folder of the masks. Masks of other programs have no record and pass.
        classes: Names of the classes, in the order of their ids.

    Raises:
        InputError: The masks were written for other classes, so their ids mean something else.
    """
    try:
        written = json.loads((results / SEGMENTED).read_text(encoding="utf-8"))["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        # Without a record the masks are another program's, whose ids are trusted.
        return

    if written != list(classes):
        raise InputError(
            f"{results / SEGMENTED}: masks hold the classes {', '.join(map(str, written))},"
            f" the set has {', '.join(classes)}; segment again with the same set and classes"
        )
