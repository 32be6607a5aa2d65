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

COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
STABILITY = "T-Mean"
Curves = Mapping[str, np.ndarray]
"""One object: "J" and, where it is asked for, "F", each [frames] that count; NaN before it
appears.
"""


@dataclass(frozen=True, kw_only=True)
class ObjectsMetric(SequenceMetric):
    """J and F of every object in every frame; means are over objects, as DAVIS-2017 takes them.

    If the benchmark says so, means are over the classes, which the names of the sequences begin
    with.
    """

    benchmark: ObjectRules
    name: ClassVar[str] = "objects"

    def frames(self, item: VideoSequence) -> tuple[str, ...]:
        """The annotated frames, less those that the benchmark skips at both ends."""
        return tuple(item.frame_names[t] for t in counted_frames(item, self.benchmark))

    def is_scored(self, item: VideoSequence) -> bool:
        """Whether any frame counts; none does in a sequence of two frames of which both are
        skipped.
        """
        return not item.truth or bool(counted_frames(item, self.benchmark))

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """See measure_objects; the files are looked for before any time is spent on scoring."""
        check_files(item, self.benchmark, folder)
        return measure_objects(item, folder, self.benchmark)

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The columns of the official table over the split and over each sequence.

        T-Mean comes last if the benchmark asks for it. Details are the curves of each object.
        """
        rows = {name: self._row([one]) for name, one in arrays.items()}
        overall = self._row(list(arrays.values()))
        if self.benchmark.mean_over_classes:
            overall = _mean_over_classes(rows)

        return Rows(
            overall=overall,
            sequences=rows,
            sequence_details={name: self._details(one) for name, one in arrays.items()},
        )

    def title(self, scores: Scores) -> str:
        """Says what means are over, and how many there are."""
        if self.benchmark.mean_over_classes:
            means, count = "classes", len({name.split("/")[0] for name in scores.sequences})
        else:
            details = scores.rows.sequence_details.values()
            means, count = "objects", sum(len(one["objects"]) for one in details)

        title = f"{super().title(scores)}, mean over {means} ({count})"
        return "\n".join([title, *_stray_lines(scores)])

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The two tables of the split that davis2017-evaluation writes, in its columns and
        decimals.

        Cells are empty where there is no number, such as the decay with decay_uint8 of some long
        videos. Rows of a sequence are in the order of its objects. Where proposals are matched to
        objects (davis17-unsupervised), davis2017-evaluation has them in the order of the matched
        proposals instead: the numbers are the same, their row names are not.
        """
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

        known = [pairs[~np.isnan(pairs)] for pairs in stabilities]
        means = [np.mean(pairs) for pairs in known if len(pairs)]
        return {**row, STABILITY: float(np.mean(means) if means else np.nan)}

    def _details(self, arrays: Arrays) -> dict[str, Any]:
        """T of each pair of frames, ids that are no object, and of each object its row and its
        curves.
        """
        objects = {}
        for id, curves in object_curves(arrays).items():
            row = summary([curves], decay_uint8=self.benchmark.decay_uint8)
            objects[str(id)] = {**row, **curves}

        details: dict[str, Any] = {"T": arrays["T"]} if "T" in arrays else {}
        if len(arrays.get("stray", ())):
            details["stray"] = arrays["stray"]

        return {**details, "objects": objects}


def _stray_lines(scores: Scores) -> list[str]:
    """A line on ids of the results that are annotated nowhere; none if there are no such ids."""
    details = scores.rows.sequence_details
    stray = [
        f"{name}: {', '.join(map(str, one['stray']))}"
        for name, one in details.items()
        if "stray" in one
    ]
    if not stray:
        return []

    more = f" and {len(stray) - 3} more sequences" if len(stray) > 3 else ""
    return [
        f"ids that no scored frame has as an object count as background ({'; '.join(stray[:3])}{more})"
    ]


def object_curves(arrays: Arrays) -> dict[int, Curves]:
    """The curves of each object by id, from what measure_objects returned."""
    letters = [letter for letter in ("J", "F") if letter in arrays]
    return {
        id: {letter: arrays[letter][i] for letter in letters}
        for i, id in enumerate(arrays["ids"].tolist())
    }


def summary(objects: Iterable[Curves], *, decay_uint8: bool = False) -> dict[str, float]:
    """The columns of the official table: statistics of each object's J and F, averaged over the
    objects, if any.
    """
    rows = []
    for curves in objects:
        values = [v[~np.isnan(v)] for v in curves.values()]
        rows.append(np.ravel([astuple(statistics(v, decay_uint8=decay_uint8)) for v in values]))

    if not rows:
        return {}

    means = np.mean(rows, axis=0).tolist()
    if len(means) == 3:
        return dict(zip(COLUMNS[1:4], means, strict=True))

    return dict(zip(COLUMNS, [(means[0] + means[3]) / 2, *means], strict=True))


def _mean_over_classes(rows: Mapping[str, Row]) -> Row:
    """Means over the shots CLASS/... of a class, then over the classes."""
    shots: dict[str, list[Row]] = {}
    for name, row in rows.items():
        if row:  # A shot without objects has no numbers.
            shots.setdefault(name.split("/")[0], []).append(row)

    classes = [_mean_row(of_class) for of_class in shots.values()]
    every = _mean_row([row for of_class in shots.values() for row in of_class])
    return {**_mean_row(classes), "J-Mean-Shots": every["J-Mean"]}


def _mean_row(rows: Iterable[Row]) -> dict[str, float]:
    rows = list(rows)
    return {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}


METRIC = ObjectsMetric
