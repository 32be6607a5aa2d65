"""IoU and accuracy of every class of pixels, in the labelled frames of a set.

Shapes: K classes.
"""

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from densevos.data.segmentation.segmentation_set import Shot
from densevos_eval.drawing.confusion_picture import confusion_picture
from densevos_eval.metrics.confusion import (
    annotated_iou,
    class_accuracy,
    confusion,
    mean_accuracy,
    mean_iou,
    pixel_accuracy,
)
from densevos_eval.metrics.metric import Arrays, Row, Rows, Scores
from densevos_eval.metrics.shot_metric import ShotMetric, mask_file, read_classes
from densevos_eval.metrics.tables import ScoreTable, csv_bytes

ALL = "all pixels"  # Name of the row with pixel accuracy.


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """The numbers of one class.

    Attributes:
        name: Name of the class.
        iou: Intersection over union; NaN if the annotations lack the class.
        accuracy: Share of its pixels that are predicted as it; NaN if it has no pixels.
        pixels: Number of its annotated pixels.
    """

    name: str
    iou: float
    accuracy: float
    pixels: int


@dataclass(frozen=True, kw_only=True)
class ClassesMetric(ShotMetric):
    """mIoU, mean accuracy and pixel accuracy over the pixels of all labelled frames together.

    IoU and accuracy of a class are computed once over all pixels, as in Cityscapes and papers on
    semantic segmentation. Means are over the classes that the annotations have. Void (255) does not
    count.
    """

    name: ClassVar[str] = "miou"

    def measure(self, item: Shot, folder: Path) -> Arrays:
        """Count how many pixels of each class are predicted as each class, over labelled frames.

        Args:
            item: The shot.
            folder: Holds masks SHOT/FRAME.png with class ids; masks of images may be SHOT.png.

        Returns:
            "pixels" [K,K] int64: Rows are the annotated classes, columns the predicted classes.

        Raises:
            InputError: A mask is missing, unreadable, of another size than its labels, or holds an
                id that is no class.
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
        # Counts are added before IoU is computed, so all pixels weigh the same in any shot.
        pixels = np.sum([of_shot["pixels"] for of_shot in arrays.values()], axis=0)
        shots = {name: class_means(of_shot["pixels"]) for name, of_shot in arrays.items()}

        classes = {}
        for row in class_rows(self.labelled.classes, pixels):
            classes[row.name] = {"IoU": row.iou, "accuracy": row.accuracy, "pixels": row.pixels}

        # The means leave out classes without annotated pixels, so results.json names the others.
        averaged = [name for name, row in classes.items() if row["pixels"]]
        return Rows(
            overall=class_means(pixels),
            sequences=shots,
            details={"averaged": averaged, "classes": classes, "confusion": pixels},
        )

    def title(self, scores: Scores) -> str:
        """Title that says what the means are over, and how many frames count."""
        averaged = scores.rows.details["averaged"]
        background = ", background included" if "background" in averaged else ""
        lacking = len(self.labelled.classes) - len(averaged)
        unseen = f" ({lacking} without annotation left out)" if lacking else ""
        frames = sum(len(provenance.frames) for provenance in scores.provenance.values())

        return (
            f"{super().title(scores)}: mean over {len(averaged)} classes{background}{unseen}\n"
            f"{frames} frames, void not counted"
        )

    def table(self, scores: Scores) -> ScoreTable:
        """Table for the screen, in per cent: first the whole split, then every class."""
        pixels = scores.rows.details["confusion"]
        total = max(1, int(pixels.sum()))  # Avoids a division by zero.
        return ScoreTable(
            title=self.title(scores),
            header=("class", "IoU %", "accuracy %", "pixels %"),
            overall=tuple(_cells(row, total) for row in overall_rows(scores)),
            rows=tuple(_cells(row, total) for row in class_rows(self.labelled.classes, pixels)),
        )

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The table of classes as CSV, and the confusion matrix as a picture."""
        pixels = scores.rows.details["confusion"]
        rows = [*class_rows(self.labelled.classes, pixels), *overall_rows(scores)]
        table = csv_bytes(["class", "IoU", "accuracy", "pixels"], map(_csv_row, rows))

        # A picture may be seen without its table, so its title has the numbers.
        numbers = ", ".join(f"{name} {_percent(share)} %" for name, share in scores.overall.items())
        title = f"{self.dataset} {scores.split}: {numbers}"
        picture = Image.fromarray(confusion_picture(pixels, self.labelled.classes, title))
        png = io.BytesIO()
        picture.save(png, format="PNG")

        return {"classes.csv": table, "confusion.png": png.getvalue()}


def class_means(pixels: np.ndarray) -> Row:
    """The means of a confusion matrix [K,K]."""
    return {
        "mIoU": mean_iou(pixels),
        "mean accuracy": mean_accuracy(pixels),
        "pixel accuracy": pixel_accuracy(pixels),
    }


def class_rows(classes: Sequence[str], pixels: np.ndarray) -> Iterator[ClassRow]:
    """The row of every class, in the order of ids.

    Args:
        classes: Names of the K classes.
        pixels: Confusion matrix [K,K]; see `confusion`.
    """
    ious, accuracies = annotated_iou(pixels), class_accuracy(pixels)
    counts = pixels.sum(axis=1)
    for name, iou, accuracy, count in zip(classes, ious, accuracies, counts, strict=True):
        yield ClassRow(name=name, iou=float(iou), accuracy=float(accuracy), pixels=int(count))


def overall_rows(scores: Scores) -> tuple[ClassRow, ClassRow]:
    """Two rows about the whole split: the means over classes, and pixel accuracy."""
    overall, total = scores.overall, int(scores.rows.details["confusion"].sum())
    return (
        ClassRow(name="mean", iou=overall["mIoU"], accuracy=overall["mean accuracy"], pixels=total),
        # There is no IoU over all pixels.
        ClassRow(name=ALL, iou=math.nan, accuracy=overall["pixel accuracy"], pixels=total),
    )


def _cells(row: ClassRow, total: int) -> tuple[str, ...]:
    return row.name, _percent(row.iou), _percent(row.accuracy), _percent(row.pixels / total)


def _csv_row(row: ClassRow) -> list[object]:
    """Cells with six decimals; a missing number becomes an empty cell."""
    return [row.name, _six_decimals(row.iou), _six_decimals(row.accuracy), row.pixels]


def _six_decimals(share: float) -> str:
    # Empty cells and not "nan", because other programs read the file.
    return "" if math.isnan(share) else f"{share:.6f}"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.2f}"


METRIC = ClassesMetric
