"""Mean IoU of the parts of people (VIP)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import read_mask
from densevos.base.names import mask_file
from densevos_eval.metrics.confusion import class_iou, confusion
from densevos_eval.metrics.metric import Arrays, Row, Rows
from densevos_eval.metrics.sequence_metric import SequenceMetric
from densevos_eval.metrics.statistics import known_mean
from densevos_eval.sequences.sequence import VideoSequence

PARTS = 20  # Classes of VIP, background included.
WITHOUT_FIRST = "mIoU-without-first"


@dataclass(frozen=True, kw_only=True)
class PartsMetric(SequenceMetric):
    """Mean IoU over the classes of VIP, over all frames and over all but the first.

    The column `mIoU` counts the first frame, as published numbers do. The mask of that frame is
    given to the method, which adds a point or two; the other column leaves it out.
    """

    name: ClassVar[str] = "parts"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """Count how many pixels of each class are predicted as each class, background included.

        Args:
            item: The sequence.
            folder: Holds masks SEQUENCE/FRAME.png with class ids.

        Returns:
            "pixels" [20,20] int64: Confusion matrix of all frames; rows are the annotated classes,
                columns the predicted classes.
            "given" [20,20] int64: Confusion matrix of the first frame alone.

        Raises:
            InputError: A mask is missing, of another size, or holds more than 20 classes.
        """
        counts = []
        for name, file in zip(item.frame_names, item.truth, strict=True):
            truth, path = read_mask(file), mask_file(folder / item.name, name)
            prediction = read_mask(path)
            if prediction.shape != truth.shape:
                raise InputError(
                    f"{path}: mask is {prediction.shape}, its annotation {truth.shape};"
                    " write it at frame size"
                )

            if prediction.max() >= PARTS:
                raise InputError(
                    f"{path}: mask holds class {prediction.max()}, the classes are 0 to {PARTS - 1}"
                )

            # Annotated pixels of other values, such as void, are not counted.
            counts.append(confusion(truth, prediction, PARTS))

        return {"pixels": np.sum(counts, axis=0), "given": counts[0]}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """Mean IoU over all sequences together and in each."""
        return Rows(
            overall=parts_iou(arrays.values()),
            sequences={name: parts_iou([measured]) for name, measured in arrays.items()},
        )


def parts_iou(every: Iterable[Arrays]) -> Row:
    """Mean IoU over the classes that occur, from the pixels of these sequences together.

    The program of Jabri et al. resizes predictions of frames that are not square, and interpolates
    class ids. Masks are scored at frame size here, so nothing is resized.

    Args:
        every: The arrays of each sequence.

    Returns:
        "mIoU" over all frames, and WITHOUT_FIRST over all but the given first frame of each
            sequence.

    Source: Zhou et al., Adaptive Temporal Encoding Network for Video Instance-level Human Parsing,
        ACM MM 2018; used for propagation by Jabri et al., Space-Time Correspondence as a
        Contrastive Random Walk, NeurIPS 2020 (eval/eval_vip.py).
    """
    # Confusion matrices are sums over frames, so the given frames can be subtracted from them.
    every = list(every)
    pixels = np.sum([arrays["pixels"] for arrays in every], axis=0)
    given = np.sum([arrays["given"] for arrays in every], axis=0)

    # Classes that neither side has are NaN, and no terms of the mean.
    return {
        "mIoU": known_mean(class_iou(pixels)),
        WITHOUT_FIRST: known_mean(class_iou(pixels - given)),
    }


METRIC = PartsMetric
