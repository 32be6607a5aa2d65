"""PCK of joints of people (JHMDB), relative to the longest side of the box around the joints."""

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
    """PCK@.1 and PCK@.2 over all joints in all frames but the first; lost joints count as wrong.

    Early versions of the metric `joints` measured this. Published numbers follow `joints` instead.
    """

    name: ClassVar[str] = "joints-box"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """Find which joints are correct, in all frames but the given first one.

        Args:
            item: The sequence.
            folder: Holds SEQUENCE/joints.json; see joints.write_joints.

        Returns:
            Threshold -> [(frames-1)*joints] float64, 1 or 0; see correct_keypoints.

        Raises:
            InputError: The file is missing or has another number of frames or joints.
        """
        truth, prediction = read_both(item, folder)

        # Only joints inside the image count, and the file of joints does not hold its size.
        height, width = open_frames(item.source).read([0])[0].shape[:2]

        arrays = {}
        for column, threshold in THRESHOLDS.items():
            correct = correct_keypoints(truth[1:], prediction[1:], (height, width), threshold)
            arrays[column] = correct.ravel()

        return arrays

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The share of joints that are correct, over all sequences together and in each."""
        return Rows(
            overall=found_share(arrays.values()),
            sequences={name: found_share([measured]) for name, measured in arrays.items()},
        )


def found_share(every: Iterable[Arrays]) -> Row:
    """PCK@.1 and PCK@.2 over all joints of these sequences."""
    every = list(every)
    shares = {}
    for column in THRESHOLDS:
        # NaN marks joints outside the image, which do not count.
        correct = np.concatenate([arrays[column] for arrays in every])
        shares[column] = known_mean(correct)

    return shares


METRIC = JointsBoxMetric
