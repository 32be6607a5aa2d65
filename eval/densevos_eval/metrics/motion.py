"""Motion segmentation (FBMS-59): precision, recall and F of regions, and the objects found.

Shapes: H x W pixels; rows of a matrix are annotated regions, columns are segments of the result.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from densevos.base.errors import InputError
from densevos.base.images import size_remedy
from densevos.base.masks import open_mask, read_mask
from densevos.base.names import mask_file
from densevos_eval.metrics.metric import Arrays, Row, Rows
from densevos_eval.metrics.sequence_metric import SequenceMetric
from densevos_eval.sequences.sequence import VideoSequence

FOUND = 0.75  # An object is found if the F of its region is higher.


@dataclass(frozen=True, kw_only=True)
class MotionMetric(SequenceMetric):
    """Precision, recall and F of the regions of a sequence; the background is one of them.

    Regions and segments of the whole sequence are matched one to one so that the sum of F is
    highest. Regions without a segment have precision 1 and recall 0; segments without a region do
    not count.

    Source: Ochs, Malik and Brox, Segmentation of Moving Objects by Long Term Video Analysis, TPAMI
        2014, section 6, and the authors' program (version 2.0). They label tracks of points; here
        every pixel has an id.
    """

    name: ClassVar[str] = "motion"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """Count how many pixels of each region have each id, over all annotated frames.

        Args:
            item: The sequence.
            folder: Holds masks SEQUENCE/FRAME.png.

        Returns:
            "pixels" [256,256] float64: Rows are annotated regions, columns are ids of the result.
                Each pixel is weighted by its probability if the benchmark has probabilities.

        Raises:
            InputError: A mask is missing, unreadable or of another size than its annotation.
        """
        # Flat, because bincount counts single numbers; it becomes [256,256] at the end.
        pixels = np.zeros(256 * 256)  # Ids are uint8, so there are at most 256 on either side.
        for t in item.annotated or range(len(item.frame_names)):
            truth = item.reader(item.truth[t])
            file = mask_file(folder / item.name, item.frame_names[t])
            result = read_mask(file)

            if result.shape != truth.shape:
                raise InputError(
                    f"{file}: mask is {result.shape[1]}x{result.shape[0]} but its annotation is"
                    f" {truth.shape[1]}x{truth.shape[0]}; {size_remedy(result.shape, truth.shape)}"
                )

            # One number for each pair of region and id.
            pairs = truth.astype(np.int64) * 256 + result
            weights = _weights(item, t, truth.shape)
            pixels += np.bincount(pairs.ravel(), weights.ravel(), minlength=len(pixels))

        return {"pixels": pixels.reshape(256, 256)}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """Combine the sequences.

        Precision and recall are means over sequences, F is that of these means, and objects are
        counted over all sequences. Details are the numbers of objects and of objects found.
        """
        sequences, sequence_details = {}, {}
        precisions, recalls = [], []
        found = objects = 0

        for name, measured in arrays.items():
            matched = match_regions(measured["pixels"])
            precisions.append(matched.precision)
            recalls.append(matched.recall)
            found += matched.found
            objects += matched.objects

            sequences[name] = _row(
                matched.precision, matched.recall, matched.found, matched.objects
            )
            sequence_details[name] = {"count": {"found": matched.found, "objects": matched.objects}}

        precision, recall = float(np.mean(precisions)), float(np.mean(recalls))
        return Rows(
            overall=_row(precision, recall, found, objects),
            sequences=sequences,
            sequence_details=sequence_details,
            details={"count": {"found": found, "objects": objects}},
        )


@dataclass(frozen=True, kw_only=True)
class Matched:
    """The regions of a sequence after they are matched with segments.

    Attributes:
        precision: Mean over the regions.
        recall: Mean over the regions.
        found: Number of objects that are found.
        objects: Number of all objects.
    """

    precision: float
    recall: float
    found: int
    objects: int


def match_regions(pixels: np.ndarray) -> Matched:
    """Match the segments of a result with annotated regions.

    Args:
        pixels: Number of pixels [regions,segments] that each region shares with each segment. Rows
            and columns without pixels are left out.
    """
    # Imported here, since scipy is slow to load and seldom needed.
    from scipy.optimize import linear_sum_assignment

    pixels = pixels[pixels.sum(axis=1) > 0][:, pixels.sum(axis=0) > 0]
    # [regions,segments]: a pair's shared pixels, as a share of the segment and of the region.
    precision = pixels / pixels.sum(axis=0)
    recall = pixels / pixels.sum(axis=1, keepdims=True)
    # A pair without a shared pixel has F = 0; the formula would divide 0 by 0.
    f = np.divide(
        2 * precision * recall, precision + recall, out=np.zeros_like(pixels), where=pixels > 0
    )

    # The authors' program compares whole numbers of 1/10000.
    regions, segments = linear_sum_assignment(np.floor(10_000 * f), maximize=True)
    without_segment = len(pixels) - len(regions)  # Each has precision 1 and recall 0.

    return Matched(
        precision=float((precision[regions, segments].sum() + without_segment) / len(pixels)),
        recall=float(recall[regions, segments].sum() / len(pixels)),
        # One of the regions is the background, which is nearly always found and is no object.
        found=max(0, int((f[regions, segments] > FOUND).sum()) - 1),
        objects=len(pixels) - 1,
    )


def _row(precision: float, recall: float, found: int, objects: int) -> Row:
    total = precision + recall
    return {
        "F": 2 * precision * recall / total if total else 0.0,
        "P": precision,
        "R": recall,
        "Found": found / objects if objects else float("nan"),
    }


def _weights(item: VideoSequence, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Probability [H,W] of each annotated pixel, from the picture beside the annotation.

    All are 1 if there is no such picture.
    """
    # The first file is the annotation itself.
    pictures = item.reader.files(item.truth[index])[1:]
    if not pictures or not pictures[0].is_file():
        return np.ones(shape)

    # The picture holds probabilities as grey values of 0 to 255.
    weights = np.asarray(open_mask(pictures[0]).convert("L")) / 255
    if weights.shape != shape:
        raise InputError(
            f"{pictures[0]}: has another size than {item.truth[index]};"
            " get the benchmark's files again"
        )

    return weights


METRIC = MotionMetric
