"""Classes of pixels: IoU and accuracy of every class in the labelled frames of a set."""

import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.masks import read_mask
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot
from densevos_eval.drawing.confusion_picture import confusion_picture
from densevos_eval.metrics.confusion import (
    annotated_iou,
    class_accuracy,
    confusion,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from densevos_eval.metrics.metric import Arrays, Fingerprints, Metric, Row, Rows, Scores
from densevos_eval.metrics.tables import ScoreTable, csv_bytes
from densevos_eval.runs.fingerprint import fingerprint

SEGMENTED = "segment.json"
ALL = "all pixels"  # The row with pixel accuracy.


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """One class: IoU and the share of its pixels that are found (NaN without any), and how many it has."""

    name: str
    iou: float
    accuracy: float
    pixels: int


@dataclass(frozen=True, kw_only=True)
class ClassesMetric(Metric[Shot]):
    """mIoU, mean accuracy and pixel accuracy over the pixels of all labelled frames together.

    Each class has its intersection over union and its accuracy over all pixels, as in Cityscapes and
    the papers on semantic segmentation; means are over the classes that the annotations have, and void
    (255) does not count.
    """

    labelled: SegmentationSet
    name: ClassVar[str] = "miou"

    @property
    def dataset(self) -> str:
        """Name of the labelled set."""
        return self.labelled.name

    def check(self, items: Several[Shot], folders: Mapping[str, Path]) -> None:
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
        """Of the mask files, and of the labels as class ids, whatever files the set keeps them in."""
        annotations = hashlib.sha256()
        for index in item.labelled:
            truth = item.labels(index)
            annotations.update(f"{truth.shape}".encode() + truth.tobytes())

        files = [mask_file(folder, item, frame) for frame in self.frames(item)]
        return Fingerprints(masks=fingerprint(files), annotations=annotations.hexdigest())

    def facts(self, item: Shot) -> object:
        """The names of the classes, and which frames have labels."""
        return [self.labelled.classes, item.name, item.labelled]

    def measure(self, item: Shot, folder: Path) -> Arrays:
        """How many pixels of each class are predicted as each class, in the labelled frames of a shot.

        Masks: FOLDER/SHOT/FRAME.png with class ids, of images also FOLDER/SHOT.png.

        Returns:
            "pixels": [K,K] int64, rows are the annotated classes, columns the predicted ones.

        Raises:
            InputError: A mask is missing, unreadable, of another size than its labels, or holds an id
                that is no class.
        """
        classes = self.labelled.classes
        pixels = np.zeros((len(classes), len(classes)), np.int64)
        for index, frame in zip(item.labelled, self.frames(item), strict=True):
            truth = item.labels(index)
            prediction = read_classes(mask_file(folder, item, frame), truth.shape, classes)
            pixels += confusion(truth, prediction, len(classes))
        return {"pixels": pixels}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The numbers of all pixels together and of each shot; details are those of each class."""
        pixels = np.sum([one["pixels"] for one in arrays.values()], axis=0)
        classes = {}
        for row in class_rows(self.labelled.classes, pixels):
            classes[row.name] = {"IoU": row.iou, "accuracy": row.accuracy, "pixels": row.pixels}

        return Rows(
            overall=class_means(pixels),
            sequences={name: class_means(one["pixels"]) for name, one in arrays.items()},
            details={
                "averaged": [name for name, row in classes.items() if row["pixels"]],
                "classes": classes,
                "confusion": pixels,
            },
        )

    def title(self, scores: Scores) -> str:
        """Says what means are over, and how many frames are counted."""
        averaged = scores.rows.details["averaged"]
        background = ", background included" if "background" in averaged else ""
        lacking = len(self.labelled.classes) - len(averaged)
        unseen = f" ({lacking} without annotation left out)" if lacking else ""
        frames = sum(len(one.frames) for one in scores.provenance.values())
        return (
            f"{super().title(scores)}: mean over {len(averaged)} classes{background}{unseen}\n"
            f"{frames} frames, void not counted"
        )

    def table(self, scores: Scores) -> ScoreTable:
        """The whole first, then every class, in per cent."""
        pixels = scores.rows.details["confusion"]
        total = max(1, int(pixels.sum()))
        return ScoreTable(
            title=self.title(scores),
            header=("class", "IoU %", "accuracy %", "pixels %"),
            overall=tuple(_cells(row, total) for row in overall_rows(scores)),
            rows=tuple(_cells(row, total) for row in class_rows(self.labelled.classes, pixels)),
        )

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The table of the classes, and the confusion matrix as a picture."""
        pixels = scores.rows.details["confusion"]
        rows = [*class_rows(self.labelled.classes, pixels), *overall_rows(scores)]
        table = csv_bytes(["class", "IoU", "accuracy", "pixels"], map(_csv_row, rows))

        numbers = ", ".join(f"{name} {_percent(share)} %" for name, share in scores.overall.items())
        title = f"{self.dataset} {scores.split}: {numbers}"
        picture = io.BytesIO()
        Image.fromarray(confusion_picture(pixels, self.labelled.classes, title)).save(picture, format="PNG")
        return {"classes.csv": table, "confusion.png": picture.getvalue()}


def class_means(pixels: np.ndarray) -> Row:
    """The numbers of a confusion matrix."""
    return {
        "mIoU": mean_iou(pixels),
        "mean accuracy": mean_accuracy(pixels),
        "pixel accuracy": pixel_accuracy(pixels),
    }


def class_rows(classes: Several[str], pixels: np.ndarray) -> Iterator[ClassRow]:
    """Every class in the order of their ids."""
    columns = (annotated_iou(pixels), class_accuracy(pixels), pixels.sum(axis=1))
    for name, iou, accuracy, count in zip(classes, *columns, strict=True):
        yield ClassRow(name=name, iou=float(iou), accuracy=float(accuracy), pixels=int(count))


def overall_rows(scores: Scores) -> tuple[ClassRow, ClassRow]:
    """The means over classes, and all pixels alike."""
    overall, total = scores.overall, int(scores.rows.details["confusion"].sum())
    return (
        ClassRow(name="mean", iou=overall["mIoU"], accuracy=overall["mean accuracy"], pixels=total),
        ClassRow(name=ALL, iou=math.nan, accuracy=overall["pixel accuracy"], pixels=total),
    )


def mask_file(folder: Path, shot: Shot, frame: str) -> Path:
    """Where the mask of a frame lies: in the folder of its shot; of an image perhaps beside those of the others."""
    beside = folder / f"{shot.name}.png"
    return beside if shot.source.stem == frame and beside.is_file() else folder / shot.name / f"{frame}.png"


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
            f" {', '.join(classes)}; segment again with the same set and classes"
        )


def _cells(row: ClassRow, total: int) -> tuple[str, ...]:
    return row.name, _percent(row.iou), _percent(row.accuracy), _percent(row.pixels / total)


def _csv_row(row: ClassRow) -> list[object]:
    """Six decimals; empty where there is no number."""
    shares = ("" if math.isnan(share) else f"{share:.6f}" for share in (row.iou, row.accuracy))
    return [row.name, *shares, row.pixels]


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.2f}"


METRIC = ClassesMetric
