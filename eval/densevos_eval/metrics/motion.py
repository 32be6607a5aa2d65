"""Motion segmentation (FBMS-59): precision, recall and F of regions, and how many objects were
found.
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

FOUND = 0.75  # An object is found if the F of its region is above this.


@dataclass(frozen=True, kw_only=True)
class MotionMetric(SequenceMetric):
    """Precision, recall and F of the regions of a sequence, the background being one of them.

    Regions and segments of the whole sequence are assigned to one another so that the sum of F is
    highest. Regions without a segment have precision 1 and recall 0; segments without a region do
    not count. Source: Ochs, Malik and Brox, Segmentation of Moving Objects by Long Term Video
    Analysis, TPAMI 2014, section 6, and their program (version 2.0), with an id for every pixel
    instead of labelled tracks.
    """

    name: ClassVar[str] = "motion"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """How many pixels of each region have each id, in all annotated frames.

        Returns:
            "pixels" [256,256] float64: rows are annotated regions, columns the ids of the result.
            Pixels count as much as their probability, where the benchmark has one.

        Raises:
            InputError: A mask is missing, unreadable or of another size than its annotation.
        """
        pixels = np.zeros(256 * 256)
        for t in item.annotated or range(len(item.frame_names)):
            truth = item.reader(item.truth[t])
            file = mask_file(folder / item.name, item.frame_names[t])
            result = read_mask(file)

            if result.shape != truth.shape:
                raise InputError(
                    f"{file}: mask is {result.shape[1]}x{result.shape[0]} but its annotation is"
                    f" {truth.shape[1]}x{truth.shape[0]}; {size_remedy(result.shape, truth.shape)}"
                )

            pairs = truth.astype(np.int64) * 256 + result
            pixels += np.bincount(
                pairs.ravel(), _weights(item, t, truth.shape).ravel(), minlength=len(pixels)
            )

        return {"pixels": pixels.reshape(256, 256)}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """Means over sequences of precision and recall, F of these means, and the share of objects
        found.

        Details are the numbers of objects and of those found.
        """
        matched = {name: match_regions(one["pixels"]) for name, one in arrays.items()}
        precision = float(np.mean([one.precision for one in matched.values()]))
        recall = float(np.mean([one.recall for one in matched.values()]))
        found = sum(one.found for one in matched.values())
        objects = sum(one.objects for one in matched.values())

        return Rows(
            overall=_row(precision, recall, found, objects),
            sequences={
                name: _row(one.precision, one.recall, one.found, one.objects)
                for name, one in matched.items()
            },
            sequence_details={
                name: {"count": {"found": one.found, "objects": one.objects}}
                for name, one in matched.items()
            },
            details={"count": {"found": found, "objects": objects}},
        )


@dataclass(frozen=True, kw_only=True)
class Matched:
    """Precision and recall of a sequence, means over its regions, and its objects: those found, and
    all.
    """

    precision: float
    recall: float
    found: int
    objects: int


def match_regions(pixels: np.ndarray) -> Matched:
    """Match the segments of a result with annotated regions.

    Args:
        pixels: Number of pixels [regions,segments] that they share; empty ones are left out.
    """
    from scipy.optimize import (
        linear_sum_assignment,
    )  # Imported here: slow to load and seldom needed.

    pixels = pixels[pixels.sum(axis=1) > 0][:, pixels.sum(axis=0) > 0]
    precision = pixels / pixels.sum(axis=0)
    recall = pixels / pixels.sum(axis=1, keepdims=True)
    f = np.divide(
        2 * precision * recall, precision + recall, out=np.zeros_like(pixels), where=pixels > 0
    )

    # The original compares whole numbers of 1/10000.
    regions, segments = linear_sum_assignment(np.floor(10_000 * f), maximize=True)
    without_segment = len(pixels) - len(regions)

    return Matched(
        precision=float((precision[regions, segments].sum() + without_segment) / len(pixels)),
        recall=float(recall[regions, segments].sum() / len(pixels)),
        # One of the regions is the background, which is nearly always found.
        found=max(0, int((f[regions, segments] > FOUND).sum()) - 1),
        objects=len(pixels) - 1,
    )


def _row(precision: float, recall: float, found: int, objects: int) -> Row:
    f = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return {
        "F": f,
        "P": precision,
        "R": recall,
        "Found": found / objects if objects else float("nan"),
    }


def _weights(item: VideoSequence, index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Probability [H,W] of each annotated pixel: the picture beside the annotation, if there is
    one.
    """
    beside = item.reader.files(item.truth[index])[1:]
    if not (beside and beside[0].is_file()):
        return np.ones(shape)

    weights = np.asarray(open_mask(beside[0]).convert("L")) / 255
    if weights.shape != shape:
        raise InputError(
            f"{beside[0]}: has another size than {item.truth[index]}; get the benchmark's files again"
        )

    return weights


METRIC = MotionMetric
