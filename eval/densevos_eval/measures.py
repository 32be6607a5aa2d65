"""Scores that are not of objects: parts of people (VIP) and joints (JHMDB)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densevos.data.readers import open_frames
from densevos.errors import InputError
from densevos.masks import read_mask
from densevos_eval.keypoints import FILE, read_joints, read_positions
from densevos_eval.metrics.classes import class_iou, confusion
from densevos_eval.metrics.keypoints import correct_keypoints
from densevos_eval.sequences import Sequence

PARTS = 20  # of VIP, background included
THRESHOLDS = {"PCK@.1": 0.1, "PCK@.2": 0.2}
Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Named numbers of a whole split and of each sequence; NaN where there is none."""

    dataset: str
    split: str
    overall: Row
    sequences: dict[str, Row]


def measure_parts(sequences: list[Sequence], results: Path) -> tuple[Row, dict[str, Row]]:
    """Mean IoU over the 20 classes of VIP, background included, from the pixels of all frames of the split.

    The first frame of every sequence is given and does not count. Masks: RESULTS/SEQUENCE/FRAME.png with class ids.
    Source: Zhou et al., Adaptive Temporal Encoding Network for Video Instance-level Human Parsing, ACM MM 2018; used
    for propagation by Jabri et al., Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020.

    Raises InputError for a mask that is missing, of another size, or holds more than 20 classes.
    """
    pixels = {sequence.name: _pixels(sequence, results) for sequence in sequences}
    each = {name: {"mIoU": _mean(class_iou(counts))} for name, counts in pixels.items()}
    return {"mIoU": _mean(class_iou(np.sum(list(pixels.values()), axis=0)))}, each


def _pixels(sequence: Sequence, results: Path) -> np.ndarray:
    counts = np.zeros((PARTS, PARTS), np.int64)
    for name, file in list(zip(sequence.frame_names, sequence.truth, strict=True))[1:]:
        truth, path = read_mask(file), results / sequence.name / f"{name}.png"
        prediction = read_mask(path)
        if prediction.shape != truth.shape:
            raise InputError(
                f"{path}: mask is {prediction.shape}, its annotation {truth.shape}; write it at frame size"
            )
        if prediction.max() >= PARTS:
            raise InputError(f"{path}: mask holds class {prediction.max()}, the classes are 0 to {PARTS - 1}")
        counts += confusion(truth, prediction, PARTS)
    return counts


def measure_joints(sequences: list[Sequence], results: Path) -> tuple[Row, dict[str, Row]]:
    """PCK@.1 and PCK@.2 of JHMDB over all joints of all frames but the given first ones; see correct_keypoints.

    Joints: RESULTS/SEQUENCE/joints.json, see keypoints.write_joints. A sequence's own row is over its joints only.
    Raises InputError when a file is missing or has another number of frames or joints.
    """
    found: dict[str, dict[str, np.ndarray]] = {}
    for sequence in sequences:
        assert sequence.joints is not None, "the layout of a benchmark of joints names their file"
        truth = read_positions(sequence.joints)
        prediction = read_joints(results / sequence.name / FILE, truth.shape)
        height, width = open_frames(sequence.source).read([0])[0].shape[:2]
        found[sequence.name] = {
            column: correct_keypoints(truth[1:], prediction[1:], (height, width), threshold).ravel()
            for column, threshold in THRESHOLDS.items()
        }
    overall = {c: _mean(np.concatenate([one[c] for one in found.values()])) for c in THRESHOLDS}
    return overall, {name: {c: _mean(one[c]) for c in THRESHOLDS} for name, one in found.items()}


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


MEASURES: dict[str, Callable[[list[Sequence], Path], tuple[Row, dict[str, Row]]]] = {
    "parts": measure_parts,
    "joints": measure_joints,
}
