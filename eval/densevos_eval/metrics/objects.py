"""Objects in masks: region similarity J, contour accuracy F and temporal stability T."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from densevos_eval.metrics.measure_objects import measure_objects
from densevos_eval.metrics.metric import Arrays, Row, Rows, Scores
from densevos_eval.metrics.object_masks import check_files, counted_frames
from densevos_eval.metrics.object_rules import ObjectRules
from densevos_eval.metrics.sequence_metric import SequenceMetric
from densevos_eval.metrics.statistics import statistics
from densevos_eval.metrics.tables import cells, csv_bytes
from densevos_eval.sequences.sequence import VideoSequence

# The columns of davis2017-evaluation, in its order.
COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
STABILITY = "T-Mean"
Curves = Mapping[str, np.ndarray]
"""Scores of one object over time: "J" and perhaps "F", each [frames] that count. They are NaN in
frames before the object appears.
"""


@dataclass(frozen=True, kw_only=True)
class ObjectsMetric(SequenceMetric):
    """J and F of every object in every frame; means are over objects, as in DAVIS-2017.

    If the benchmark asks for it, means are over classes; the class is the first part of the name
    of a sequence, CLASS/SHOT.

    Attributes:
        benchmark: The rules of the benchmark.
    """

    benchmark: ObjectRules
    name: ClassVar[str] = "objects"

    def frames(self, item: VideoSequence) -> tuple[str, ...]:
        """Names of the annotated frames without those that the benchmark skips at both ends."""
        return tuple(item.frame_names[t] for t in counted_frames(item, self.benchmark))

    def is_scored(self, item: VideoSequence) -> bool:
        """Whether any frame counts; none does if a sequence has two frames and both are skipped."""
        # A sequence without annotations is kept, so that scoring reports it.
        return not item.truth or bool(counted_frames(item, self.benchmark))

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """Check that all files exist, then measure the objects; see measure_objects."""
        check_files(item, self.benchmark, folder)
        return measure_objects(item, folder, self.benchmark)

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The columns of the official table over the split and over each sequence.

        T-Mean is the last column if the benchmark asks for it. Details are the row and the curves
        of each object.
        """
        rows = {name: self._row([measured]) for name, measured in arrays.items()}
        overall = self._row(list(arrays.values()))
        if self.benchmark.mean_over_classes:
            overall = _mean_over_classes(rows)

        return Rows(
            overall=overall,
            sequences=rows,
            sequence_details={name: self._details(measured) for name, measured in arrays.items()},
        )

    def title(self, scores: Scores) -> str:
        """Title that says what the means are over, and how many terms they have."""
        if self.benchmark.mean_over_classes:
            terms = "classes"
            count = len({name.split("/")[0] for name in scores.sequences})
        else:
            terms = "objects"
            details = scores.rows.sequence_details.values()
            count = sum(len(of_sequence["objects"]) for of_sequence in details)

        title = f"{super().title(scores)}, mean over {terms} ({count})"
        return "\n".join([title, *_stray_lines(scores)])

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The two tables that davis2017-evaluation writes, with its columns and decimals.

        Cells without a number are empty, such as the decay of some long videos with decay_uint8.
        Rows of a sequence are in the order of its objects. If proposals are matched to objects
        (davis17-unsupervised), davis2017-evaluation orders rows by the matched proposals instead:
        the numbers are the same, the names of the rows are not.
        """
        # davis2017-evaluation has no other columns, such as T-Mean.
        overall = {column: value for column, value in scores.overall.items() if column in COLUMNS}
        columns = [column for column in ("J-Mean", "F-Mean") if column in overall]

        rows = []
        for name, details in scores.rows.sequence_details.items():
            for id, row in details["objects"].items():
                rows.append([f"{name}_{id}", *cells(row[column] for column in columns)])

        return {
            f"global_results-{scores.split}.csv": csv_bytes(overall, [cells(overall.values())]),
            f"per-sequence_results-{scores.split}.csv": csv_bytes(["Sequence", *columns], rows),
        }

    def _row(self, sequences: Collection[Arrays]) -> Row:
        """The columns of the official table over the objects of these sequences."""
        objects = [curves for arrays in sequences for curves in object_curves(arrays).values()]
        row = summary(objects, decay_uint8=self.benchmark.decay_uint8)

        stabilities = [arrays["T"] for arrays in sequences if "T" in arrays]
        if not stabilities:
            return row

        # T exists for pairs of frames whose masks both have a polygon. A sequence without such a
        # pair is no term of the mean.
        means = []
        for stability in stabilities:
            values = stability[~np.isnan(stability)]
            if len(values):
                means.append(np.mean(values))

        return {**row, STABILITY: float(np.mean(means) if means else np.nan)}

    def _details(self, arrays: Arrays) -> dict[str, Any]:
        """Row and curves of each object, T of each pair of frames, and ids that are no object."""
        # JSON has only text as keys, so ids become text.
        objects = {}
        for id, curves in object_curves(arrays).items():
            row = summary([curves], decay_uint8=self.benchmark.decay_uint8)
            objects[str(id)] = {**row, **curves}

        details: dict[str, Any] = {"T": arrays["T"]} if "T" in arrays else {}
        if len(arrays.get("stray", ())):
            details["stray"] = arrays["stray"]

        return {**details, "objects": objects}


def _stray_lines(scores: Scores) -> list[str]:
    """A line on ids of the results that no annotation has; none if there are no such ids."""
    stray = []
    for name, details in scores.rows.sequence_details.items():
        if "stray" in details:
            stray.append(f"{name}: {', '.join(map(str, details['stray']))}")

    if not stray:
        return []

    listed = "; ".join(stray[:3])
    if len(stray) > 3:
        listed += f" and {len(stray) - 3} more sequences"

    return [f"ids that no scored frame has as an object count as background ({listed})"]


def object_curves(arrays: Arrays) -> dict[int, Curves]:
    """The curves of each object.

    Args:
        arrays: What measure_objects returned.

    Returns:
        Id of an object -> its curves.
    """
    letters = [letter for letter in ("J", "F") if letter in arrays]

    objects: dict[int, Curves] = {}
    for i, id in enumerate(arrays["ids"].tolist()):
        objects[id] = {letter: arrays[letter][i] for letter in letters}

    return objects


def summary(objects: Iterable[Curves], *, decay_uint8: bool = False) -> dict[str, float]:
    """The columns of the official table: statistics of J and F, averaged over objects.

    Args:
        objects: The curves of each object.
        decay_uint8: See `statistics`.

    Returns:
        Column -> number. Empty without objects; without the columns of F if curves have no F.
    """
    rows = []
    for curves in objects:
        row = []
        for curve in curves.values():
            # Frames before the object appears do not count.
            values = curve[~np.isnan(curve)]
            row.append(astuple(statistics(values, decay_uint8=decay_uint8)))

        rows.append(np.ravel(row))

    if not rows:
        return {}

    means = np.mean(rows, axis=0).tolist()
    if len(means) == 3:  # J alone has three statistics, J and F together have six.
        return dict(zip(COLUMNS[1:4], means, strict=True))

    both_mean = (means[0] + means[3]) / 2
    return dict(zip(COLUMNS, [both_mean, *means], strict=True))


def _mean_over_classes(rows: Mapping[str, Row]) -> Row:
    """Means over the shots CLASS/... of a class, then over the classes."""
    shots: dict[str, list[Row]] = {}
    for name, row in rows.items():
        if row:  # A shot without objects has no numbers.
            shots.setdefault(name.split("/")[0], []).append(row)

    classes = [_mean_row(of_class) for of_class in shots.values()]

    # In this column all shots count alike, instead of all classes.
    all_shots = [row for of_class in shots.values() for row in of_class]
    return {**_mean_row(classes), "J-Mean-Shots": _mean_row(all_shots)["J-Mean"]}


def _mean_row(rows: Iterable[Row]) -> dict[str, float]:
    """The mean of each column."""
    rows = list(rows)
    return {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}


METRIC = ObjectsMetric
