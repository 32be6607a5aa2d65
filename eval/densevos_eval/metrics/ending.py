"""How well objects are still segmented at the end of a video (VOST): J over its last quarter."""

from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from densevos_eval.metrics.metric import Arrays, Row, Rows, Scores
from densevos_eval.metrics.objects import ObjectsMetric, object_curves
from densevos_eval.metrics.statistics import statistics
from densevos_eval.metrics.tables import csv_bytes, decimals

COLUMNS = ("J_last-Mean", "J_last-Recall", "J_last-Decay")
PART = 0.75  # Frames from this share of a video on are its last quarter.


@dataclass(frozen=True, kw_only=True)
class EndingMetric(ObjectsMetric):
    """ObjectsMetric with the columns J_last: J over the last quarter of the frames that count.

    When objects have changed their shape, the end of a video is the hardest part. Source: Tokmakov,
    Li and Gaidon, Breaking the "Object" in Video Object Segmentation, CVPR 2023, section 5, where
    it is called J_tr.
    """

    name: ClassVar[str] = "ending"

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The columns of ObjectsMetric and J_last, for the split, each sequence and each object."""
        rows = super().combine(arrays)
        endings = {name: self._endings(one) for name, one in arrays.items()}
        every = [row for of_sequence in endings.values() for row in of_sequence.values()]
        return replace(
            rows,
            overall={**rows.overall, **_mean(every)},
            sequences={
                name: {**row, **_mean(endings[name].values())}
                for name, row in rows.sequences.items()
            },
            sequence_details={
                name: _with_endings(details, endings[name])
                for name, details in rows.sequence_details.items()
            },
        )

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The two official tables of the split."""
        rows = []
        for name, details in scores.rows.sequence_details.items():
            for id, row in details["objects"].items():
                rows.append(
                    [f"{name}_{id}", *decimals(row[column] for column in ("J-Mean", COLUMNS[0]))]
                )

        return {
            f"global_results-{scores.split}.csv": csv_bytes(
                scores.overall, [decimals(scores.overall.values())]
            ),
            f"per-sequence_results-{scores.split}.csv": csv_bytes(
                ["Sequence", "J-Mean", COLUMNS[0]], rows
            ),
        }

    def _endings(self, arrays: Arrays) -> dict[int, Row]:
        """The columns of each object by id."""
        rows: dict[int, Row] = {}
        for id, curves in object_curves(arrays).items():
            known = curves["J"][~np.isnan(curves["J"])]
            last = statistics(
                known[int(PART * len(known)) :], decay_uint8=self.benchmark.decay_uint8
            )
            rows[id] = dict(zip(COLUMNS, astuple(last), strict=True))

        return rows


def _mean(rows: Collection[Row]) -> Row:
    return (
        {column: float(np.mean([row[column] for row in rows])) for column in COLUMNS}
        if rows
        else {}
    )


def _with_endings(details: Mapping[str, Any], endings: Mapping[int, Row]) -> dict[str, Any]:
    objects = {id: {**row, **endings[int(id)]} for id, row in details["objects"].items()}
    return {**details, "objects": objects}


METRIC = EndingMetric
