"""Parts of people (VIP): mean IoU of their classes."""

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

PARTS = 20  # of VIP, background included
WITHOUT_FIRST = "mIoU-without-first"


@dataclass(frozen=True, kw_only=True)
class PartsMetric(SequenceMetric):
    """Mean IoU over the classes of VIP: `mIoU` in all frames, as published, and once more without
    the first.

    The first frame's mask is given to the method, so counting it adds a point or two. Published
    numbers count it.
    """

    name: ClassVar[str] = "parts"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """How many pixels of each class of VIP are called each class, background included.

        Masks: FOLDER/SEQUENCE/FRAME.png with class ids.

        Returns:
            "pixels": [20,20] int64 of all frames, rows are the annotated classes, columns the
            predicted ones. "given": The same of the first frame alone.

        Raises:
            InputError: A mask is missing, of another size, or holds more than 20 classes.
        """
        counts = []
        for name, file in zip(item.frame_names, item.truth, strict=True):
            truth, path = read_mask(file), mask_file(folder / item.name, name)
            prediction = read_mask(path)
            if prediction.shape != truth.shape:
                raise InputError(
                    f"{path}: mask is {prediction.shape}, its annotation {truth.shape}; write it at frame size"
                )

            if prediction.max() >= PARTS:
                raise InputError(
                    f"{path}: mask holds class {prediction.max()}, the classes are 0 to {PARTS - 1}"
                )

            counts.append(confusion(truth, prediction, PARTS))

        return {"pixels": np.sum(counts, axis=0), "given": counts[0]}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """Mean IoU over all sequences together and in each."""
        return Rows(
            overall=parts_iou(arrays.values()),
            sequences={name: parts_iou([one]) for name, one in arrays.items()},
        )


def parts_iou(every: Iterable[Arrays]) -> Row:
    """Mean IoU over the classes of VIP that there are, from the pixels of these sequences.

    Returns:
        "mIoU" of all frames, and WITHOUT_FIRST of all but the given first one of each sequence.

    Source: Zhou et al., Adaptive Temporal Encoding Network for Video Instance-level Human Parsing,
        ACM
    MM 2018; used for propagation by Jabri et al., Space-Time Correspondence as a Contrastive Random
    Walk, NeurIPS 2020 (eval/eval_vip.py). That program resizes predictions of frames that are not
    square with interpolated class ids; masks at frame size, as scored here, are not resized.
    """
    every = list(every)
    pixels = np.sum([one["pixels"] for one in every], axis=0)
    given = np.sum([one["given"] for one in every], axis=0)
    return {
        "mIoU": known_mean(class_iou(pixels)),
        WITHOUT_FIRST: known_mean(class_iou(pixels - given)),
    }


METRIC = PartsMetric
