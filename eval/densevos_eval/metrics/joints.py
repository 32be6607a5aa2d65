"""PCK of joints of people (JHMDB), by the rule of published numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.metrics.keypoints import pck, relative_distances
from densevos_eval.metrics.metric import Arrays, Row, Rows
from densevos_eval.metrics.sequence_metric import SequenceMetric
from densevos_eval.metrics.statistics import known_mean
from densevos_eval.sequences.joints import FILE, read_joints, read_positions
from densevos_eval.sequences.sequence import VideoSequence

# Column -> largest distance of a joint that is found, relative to the unit of distances.
THRESHOLDS = {"PCK@.1": 0.1, "PCK@.2": 0.2}


@dataclass(frozen=True, kw_only=True)
class JointsMetric(SequenceMetric):
    """PCK@.1 and PCK@.2, averaged over the types of joints.

    A joint is found if its distance to the truth is at most .1 or .2 of a unit: .6 of the diagonal
    of the box around the true joints. The first frame is given and does not count. Lost joints,
    null in joints.json, do not count either. See keypoints.relative_distances.
    """

    name: ClassVar[str] = "joints"

    def check(self, items: Sequence[VideoSequence], folders: Mapping[str, Path]) -> None:
        """Raise InputError if the benchmark has no joints."""
        # The inherited check asks for annotated masks, which benchmarks of joints do not have.
        if not any(sequence.joints for sequence in items):
            raise InputError(
                f"--metric {self.name}: {self.dataset} has no joints; leave --metric out"
            )

    def frames(self, item: VideoSequence) -> tuple[str, ...]:
        """Empty, since the joints of a sequence are one file."""
        return ()

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """Measure how far joints are from the truth, in all frames but the given first one.

        Args:
            item: The sequence.
            folder: Holds SEQUENCE/joints.json; see joints.write_joints.

        Returns:
            "distances" [frames-1,joints] float64; see relative_distances.

        Raises:
            InputError: The file is missing or has another number of frames or joints.
        """
        # The unit depends only on the same frame, so the first frame can be dropped at the end.
        truth, prediction = read_both(item, folder)
        return {"distances": relative_distances(truth, prediction)[1:]}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """PCK over all sequences together and in each; details are those of each type of joint."""
        return Rows(
            overall=mean_pck(arrays.values()),
            sequences={name: mean_pck([measured]) for name, measured in arrays.items()},
            details={"joints": pck_by_type(arrays.values())},
        )


def read_both(item: VideoSequence, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read true and predicted joints.

    Args:
        item: The sequence.
        folder: Holds SEQUENCE/joints.json.

    Returns:
        Positions (x, y) of the true and of the predicted joints, [frames,joints,2] each.

    Raises:
        InputError: The file is missing or has another number of frames or joints.
    """
    assert item.joints is not None, "the layout of a benchmark of joints names their file"
    truth = read_positions(item.joints)
    return truth, read_joints(folder / item.name / FILE, truth.shape)


def pck_by_type(every: Iterable[Arrays]) -> dict[str, np.ndarray]:
    """PCK@.1 and PCK@.2 [joints] of each type of joint over all frames of these sequences."""
    # All frames are pooled before shares are taken, so a longer sequence weighs more.
    distances = np.concatenate([arrays["distances"] for arrays in every])
    return {column: pck(distances, threshold) for column, threshold in THRESHOLDS.items()}


def mean_pck(every: Iterable[Arrays]) -> Row:
    """PCK@.1 and PCK@.2 of these sequences, averaged over the types of joints."""
    return {column: known_mean(shares) for column, shares in pck_by_type(every).items()}


METRIC = JointsMetric
