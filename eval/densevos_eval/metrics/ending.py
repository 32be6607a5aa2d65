"""J over the last quarter of a video (VOST): how well objects are still segmented at its end."""

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from densevos_eval.metrics.metric import Arrays, Row, Rows, Scores
from densevos_eval.metrics.objects import ObjectsMetric, object_curves
from densevos_eval.metrics.statistics import statistics
from densevos_eval.metrics.tables import csv_bytes, decimals

COLUMNS = ("J_last-Mean", "J_last-Recall", "J_last-Decay")
PART = 0.75  # The last quarter starts after this share of the frames.


@dataclass(frozen=True, kw_only=True)
class EndingMetric(ObjectsMetric):
    """ObjectsMetric with the columns J_last: J over the last quarter of the frames that count.

    The end of a video is the hardest part, since objects have changed their shape by then.

    Source: Tokmakov, Li and Gaidon, Breaking the "Object" in Video Object Segmentation, CVPR 2023,
        section 5, where the measure is called J_tr.
    """

    name: ClassVar[str] = "ending"

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The columns of ObjectsMetric and J_last, for the split, each sequence and each object."""
        rows = super().combine(arrays)
        endings = {name: self._endings(measured) for name, measured in arrays.items()}

        # Means are over objects, so sequences with more objects weigh more.
        all_objects: list[Row] = []
        sequences, sequence_details = {}, {}

        for name, row in rows.sequences.items():
            all_objects += endings[name].values()
            sequences[name] = {**row, **_mean(endings[name].values())}

        for name, details in rows.sequence_details.items():
            sequence_details[name] = _with_endings(details, endings[name])

        return replace(
            rows,
            overall={**rows.overall, **_mean(all_objects)},
            sequences=sequences,
            sequence_details=sequence_details,
        )

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The two official tables of the split, as CSV."""
        columns = ("J-Mean", COLUMNS[0])
        rows = []
        for name, details in scores.rows.sequence_details.items():
            for id, row in details["objects"].items():
                rows.append([f"{name}_{id}", *decimals(row[column] for column in columns)])

        overall = csv_bytes(scores.overall, [decimals(scores.overall.values())])
        return {
            f"global_results-{scores.split}.csv": overall,
            f"per-sequence_results-{scores.split}.csv": csv_bytes(["Sequence", *columns], rows),
        }

    def _endings(self, arrays: Arrays) -> dict[int, Row]:
        """The columns J_last of each object by id."""
        rows: dict[int, Row] = {}
        for id, curves in object_curves(arrays).items():
            # The quarter is that of the frames in which the object counts.
            values = curves["J"][~np.isnan(curves["J"])]
            # The start is rounded down, so at least one frame is left.
            last_quarter = values[int(PART * len(values)) :]
            scores = statistics(last_quarter, decay_uint8=self.benchmark.decay_uint8)
            rows[id] = dict(zip(COLUMNS, astuple(scores), strict=True))

        return rows


def _mean(rows: Collection[Row]) -> Row:
    """The mean of each column J_last; empty without objects."""
    if not rows:
        return {}

    return {column: float(np.mean([row[column] for row in rows])) for column in COLUMNS}


def _with_endings(details: Mapping[str, Any], endings: Mapping[int, Row]) -> dict[str, Any]:
    """The details of a sequence with the columns J_last of each object."""
    objects = {}
    for id, row in details["objects"].items():
        # Ids are text in the details, for JSON, and numbers in the arrays.
        objects[id] = {**row, **endings[int(id)]}

    return {**details, "objects": objects}


METRIC = EndingMetric
