"""Joints of people (JHMDB): PCK relative to the longest side of the box of the joints inside the
image.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from densevos.data.sources.video import open_frames
from densevos_eval.metrics.joints import THRESHOLDS, JointsMetric, read_both
from densevos_eval.metrics.keypoints import correct_keypoints
from densevos_eval.metrics.metric import Arrays, Row, Rows
from densevos_eval.metrics.statistics import known_mean
from densevos_eval.sequences.sequence import VideoSequence


@dataclass(frozen=True, kw_only=True)
class JointsBoxMetric(JointsMetric):
    """PCK@.1 and PCK@.2 over all joints in all frames but the first; lost joints are not found.

    The metric `joints` was this one at first. Published numbers are not measured so.
    """

    name: ClassVar[str] = "joints-box"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """Which joints of all frames but the given first one are found, for each threshold.

        Joints: FOLDER/SEQUENCE/joints.json, see joints.write_joints.

        Returns:
            Threshold -> [(frames-1)*joints] float64, 1 or 0; see correct_keypoints.

        Raises:
            InputError: The file is missing or has another number of frames or joints.
        """
        truth, prediction = read_both(item, folder)
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
    return {
        column: known_mean(np.concatenate([one[column] for one in every])) for column in THRESHOLDS
    }


METRIC = JointsBoxMetric
