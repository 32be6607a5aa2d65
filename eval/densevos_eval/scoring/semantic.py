"""Scores of semantic masks on disk: which class every labelled pixel of a set is taken for."""

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import read_mask
from densevos.base.parallel import BROKEN, Broken, OnStep, check_any, each
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot
from densevos_eval.metrics.confusion import confusion, mean_accuracy, mean_iou, pixel_accuracy
from densevos_eval.runs.fingerprint import fingerprint
from densevos_eval.runs.records import SEGMENTED
from densevos_eval.scoring.judging import Judged
from densevos_eval.scoring.measures import Measured, Row


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """A whole split: how many pixels [K,K] of each class (row) are predicted as each class, and the means of it.

    measured: "mIoU", "mean accuracy" and "pixel accuracy" of all pixels together, and of each shot; and the shots that
        are broken.
    """

    measured: Measured
    classes: tuple[str, ...]
    pixels: np.ndarray

    @property
    def averaged(self) -> tuple[str, ...]:
        """The classes that means are over: those that the annotations have, `background` included."""
        return tuple(name for name, count in zip(self.classes, self.pixels.sum(axis=1), strict=True) if count)


@dataclass(frozen=True, kw_only=True)
class ShotPixels:
    """The confusion matrix [K,K] of one shot, names of the frames that it is of, and what it was counted from."""

    pixels: np.ndarray
    frames: tuple[str, ...]
    judged: Judged


def score_classes(
    labelled: SegmentationSet,
    results: Path,
    *,
    split: str,
    workers: int = 1,
    on_shot: Callable[[str], object] = lambda name: None,
) -> ClassScores:
    """Score the masks RESULTS/SHOT/FRAME.png, of images also RESULTS/SHOT.png, in all frames that have labels.

    Pixels of all frames are counted together, then each class has its intersection over union, as Cityscapes and the
    papers on semantic segmentation do; void (255) does not count.

    workers: processes to spread the shots over; the numbers do not depend on it.
    on_shot: called with the name of each shot when it is done.

    A shot with a mask that is missing, unreadable, of another size than its labels, or holds ids beyond the classes, is
    told of in `measured.broken`. Raises InputError when all are so, when nothing has labels, and when the masks were
    written for other classes than those of the set.
    """
    shots = [shot for shot in labelled.shots if shot.labelled]
    if not shots:
        raise InputError(f"--dataset {labelled.name}: has no labels in split {split}, so there is nothing to score")
    check_classes(results, labelled.classes)
    count = partial(count_pixels, results, labelled.classes)
    makers = [partial(partial, count_pixels, results, labelled.classes)] * min(workers, len(shots))
    done: dict[str, ShotPixels | Broken] = {}
    for shot, outcome in each(count, shots, processes=makers if len(makers) > 1 else ()):
        done[shot.name] = outcome
        on_shot(shot.name)
    outcomes = {shot.name: done[shot.name] for shot in shots}
    counted = {name: one for name, one in outcomes.items() if isinstance(one, ShotPixels)}
    broken = {name: one for name, one in outcomes.items() if isinstance(one, BROKEN)}
    check_any(broken, list(outcomes))
    pixels = np.sum([one.pixels for one in counted.values()], axis=0)
    measured = Measured(
        dataset=labelled.name,
        split=split,
        overall=row(pixels),
        sequences={name: row(one.pixels) for name, one in counted.items()},
        frames={name: one.frames for name, one in counted.items()},
        broken={name: str(error) for name, error in broken.items()},
        judged={name: one.judged for name, one in counted.items()},
    )
    return ClassScores(measured=measured, classes=labelled.classes, pixels=pixels)


def row(pixels: np.ndarray) -> Row:
    """The numbers of a confusion matrix."""
    return {
        "mIoU": mean_iou(pixels),
        "mean accuracy": mean_accuracy(pixels),
        "pixel accuracy": pixel_accuracy(pixels),
    }


def count_pixels(results: Path, classes: tuple[str, ...], shot: Shot, on_step: OnStep) -> ShotPixels:
    """The confusion matrix of the labelled frames of a shot; InputError for masks that cannot be scored."""
    names = shot.open().names
    frames = tuple(names[index] for index in shot.labelled)
    files = [mask_file(results, shot, frame) for frame in frames]
    pixels = np.zeros((len(classes), len(classes)), np.int64)
    annotations = hashlib.sha256()
    for index, file in zip(shot.labelled, files, strict=True):
        truth = shot.labels(index)
        annotations.update(f"{truth.shape}".encode() + truth.tobytes())
        pixels += confusion(truth, read_classes(file, truth.shape, classes), len(classes))
    judged = Judged(numbers={}, folder=results, masks=fingerprint(files), annotations=annotations.hexdigest())
    return ShotPixels(pixels=pixels, frames=frames, judged=judged)


def mask_file(results: Path, shot: Shot, frame: str) -> Path:
    """Where the mask of a frame lies: in the folder of its shot; of an image perhaps beside those of the others."""
    beside = results / f"{shot.name}.png"
    return beside if shot.source.stem == frame and beside.is_file() else results / shot.name / f"{frame}.png"


def read_classes(file: Path, shape: tuple[int, ...], classes: tuple[str, ...]) -> np.ndarray:
    """Class ids [H,W] uint8 of a mask.

    Raises InputError when it is missing or unreadable, not of this shape, or holds an id that is no class.
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
    """Raise InputError when densevos-eval segment wrote the masks with other ids than those of `classes`."""
    try:
        written = json.loads((results / SEGMENTED).read_text(encoding="utf-8"))["classes"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # Masks of someone else, who is trusted to know the ids.
    if written != list(classes):
        raise InputError(
            f"{results / SEGMENTED}: masks hold the classes {', '.join(map(str, written))}, the set has"
            f" {', '.join(classes)}; segment again with the same --dataset and --classes"
        )
