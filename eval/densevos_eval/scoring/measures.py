"""Scores that are not of objects: parts of people (VIP) and joints (JHMDB)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import read_mask
from densevos.data.sources.video import open_frames
from densevos_eval.joints import FILE, read_joints, read_positions
from densevos_eval.metrics.confusion import class_iou, confusion
from densevos_eval.metrics.keypoints import correct_keypoints
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.scoring.judging import Arrays, Judge, Judged, Plan, judge_all
from densevos_eval.scoring.score import Scores, score
from densevos_eval.sequences import Sequence

PARTS = 20  # of VIP, background included
THRESHOLDS = {"PCK@.1": 0.1, "PCK@.2": 0.2}
Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Named numbers of a whole split and of each sequence; NaN where there is none.

    frames: names of the frames that count, by sequence; none for joints. broken, judged: see Scores.
    """

    dataset: str
    split: str
    overall: Row
    sequences: Mapping[str, Row]
    frames: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Measure:
    """How sequences are judged, and what is made of the numbers of one sequence or of several together."""

    judge: Judge
    row: Callable[[list[Arrays]], Row]


def judge(
    sequences: list[Sequence],
    results: Path | Plan,
    protocol: Protocol,
    *,
    split: str,
    workers: int = 1,
    on_sequence: Callable[[str], object] = lambda name: None,
) -> Scores | Measured:
    """Score or measure what lies in `results`, as the protocol says; see score.score."""
    function = measure if protocol.measure in MEASURES else score
    return function(sequences, results, protocol, split=split, workers=workers, on_sequence=on_sequence)


def measure(
    sequences: list[Sequence],
    results: Path | Plan,
    protocol: Protocol,
    *,
    split: str,
    workers: int = 1,
    on_sequence: Callable[[str], object] = lambda name: None,
) -> Measured:
    """Judge what lies in `results` by the protocol's measure; arguments and errors as of score.score."""
    plan = results if isinstance(results, Plan) else Plan(masks={one.name: results for one in sequences})
    chosen = MEASURES[protocol.measure]
    judged, broken = judge_all(sequences, chosen.judge, protocol, plan, workers=workers, on_sequence=on_sequence)
    return Measured(
        dataset=protocol.name,
        split=split,
        overall=chosen.row([one.numbers for one in judged.values()]),
        sequences={name: chosen.row([one.numbers]) for name, one in judged.items()},
        frames={one.name: tuple(chosen.judge.frames(one, protocol)) for one in sequences if one.name in judged},
        broken=broken,
        judged=judged,
    )


def count_parts(sequence: Sequence, results: Path, protocol: Protocol) -> Arrays:
    """How many pixels [20,20] of each class of VIP are called each class, background included, after the first frame.

    Masks: RESULTS/SEQUENCE/FRAME.png with class ids. Raises InputError for a mask that is missing, of another size, or
    holds more than 20 classes.
    """
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
    return {"pixels": counts}


def mean_iou(every: list[Arrays]) -> Row:
    """Mean IoU over the classes of VIP that there are, from the pixels of all frames of these sequences.

    Source: Zhou et al., Adaptive Temporal Encoding Network for Video Instance-level Human Parsing, ACM MM 2018; used
    for propagation by Jabri et al., Space-Time Correspondence as a Contrastive Random Walk, NeurIPS 2020.
    """
    return {"mIoU": _mean(class_iou(np.sum([one["pixels"] for one in every], axis=0)))}


def find_joints(sequence: Sequence, results: Path, protocol: Protocol) -> Arrays:
    """Which joints of all frames but the given first one are found, for each threshold; see correct_keypoints.

    Joints: RESULTS/SEQUENCE/joints.json, see joints.write_joints. Raises InputError when the file is missing or has
    another number of frames or joints.
    """
    assert sequence.joints is not None, "the layout of a benchmark of joints names their file"
    truth = read_positions(sequence.joints)
    prediction = read_joints(results / sequence.name / FILE, truth.shape)
    height, width = open_frames(sequence.source).read([0])[0].shape[:2]
    return {
        column: correct_keypoints(truth[1:], prediction[1:], (height, width), threshold).ravel()
        for column, threshold in THRESHOLDS.items()
    }


def found_share(every: list[Arrays]) -> Row:
    """PCK@.1 and PCK@.2 over all joints of these sequences."""
    return {column: _mean(np.concatenate([one[column] for one in every])) for column in THRESHOLDS}


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def _later_frames(sequence: Sequence, protocol: Protocol) -> tuple[str, ...]:
    return sequence.frame_names[1:]


def _no_frames(sequence: Sequence, protocol: Protocol) -> tuple[str, ...]:
    return ()


MEASURES = {
    "parts": Measure(judge=Judge(numbers=count_parts, frames=_later_frames), row=mean_iou),
    "joints": Measure(judge=Judge(numbers=find_joints, frames=_no_frames), row=found_share),
}
