"""Joints of people (JHMDB): PCK, the share of joints that are found near enough to where they are."""

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.video import open_frames
from densevos_eval.metrics.keypoints import correct_keypoints
from densevos_eval.metrics.metric import Arrays, Row, Rows
from densevos_eval.metrics.sequence_metric import SequenceMetric
from densevos_eval.metrics.statistics import known_mean
from densevos_eval.sequences.joints import FILE, read_joints, read_positions
from densevos_eval.sequences.sequence import Sequence

THRESHOLDS = {"PCK@.1": 0.1, "PCK@.2": 0.2}


@dataclass(frozen=True, kw_only=True)
class JointsMetric(SequenceMetric):
    """PCK@.1 and PCK@.2 over all joints in all frames but the first, which is given."""

    name: ClassVar[str] = "joints"

    def check(self, items: Several[Sequence], folders: Mapping[str, Path]) -> None:
        """Raise InputError if the benchmark has no joints."""
        if not any(sequence.joints for sequence in items):
            raise InputError(f"--metric joints: {self.dataset} has no joints; leave --metric out")

    def frames(self, item: Sequence) -> tuple[str, ...]:
        """None: the joints of a sequence are one file."""
        return ()

    def measure(self, item: Sequence, folder: Path) -> Arrays:
        """Which joints of all frames but the given first one are found, for each threshold.

        Joints: FOLDER/SEQUENCE/joints.json, see joints.write_joints.

        Returns:
            Threshold -> [(frames-1)*joints] float64, 1 or 0; see correct_keypoints.

        Raises:
            InputError: The file is missing or has another number of frames or joints.
        """
        assert item.joints is not None, "the layout of a benchmark of joints names their file"
        truth = read_positions(item.joints)
        prediction = read_joints(folder / item.name / FILE, truth.shape)
        height, width = open_frames(item.source).read([0])[0].shape[:2]

        found = {}
        for column, threshold in THRESHOLDS.items():
            correct = correct_keypoints(truth[1:], prediction[1:], (height, width), threshold)
            found[column] = correct.ravel()
        return found

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The share of joints that are found, over all sequences together and in each."""
        return Rows(
            overall=found_share(arrays.values()),
            sequences={name: found_share([one]) for name, one in arrays.items()},
        )


def found_share(every: Iterable[Arrays]) -> Row:
    """PCK@.1 and PCK@.2 over all joints of these sequences."""
    every = list(every)
    return {column: known_mean(np.concatenate([one[column] for one in every])) for column in THRESHOLDS}


METRIC = JointsMetric
