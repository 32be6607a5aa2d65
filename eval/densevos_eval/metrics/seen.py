"""Objects of seen and of unseen categories: J and F of each group, and the mean of the groups."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from densevos_eval.metrics.metric import Arrays, Row, Rows, Scores
from densevos_eval.metrics.objects import Curves, ObjectsMetric, object_curves, summary
from densevos_eval.metrics.tables import csv_bytes, decimals
from densevos_eval.sequences.sequence import VideoSequence

GROUPS = "groups"


@dataclass(frozen=True, kw_only=True)
class SeenMetric(ObjectsMetric):
    """J and F as ObjectsMetric has them, but a split is the mean over its groups of objects.

    Groups are those of `Sequence.groups`; without them the numbers are those of ObjectsMetric. J&F
    of the split is then the mean of J and F of seen and of unseen objects, as YouTube-VOS and LVOS
    rank methods.
    """

    name: ClassVar[str] = "seen"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """As ObjectsMetric, and "groups" [objects] str: the group of each object, empty where it
        has none.
        """
        arrays = super().measure(item, folder)
        groups = [item.groups.get(id, "") for id in arrays["ids"].tolist()]
        return {**arrays, GROUPS: np.array(groups, dtype=str)}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The mean over the groups, and the means of each, J-seen-Mean and so on.

        Details are the whole row of each group.
        """
        rows = super().combine(arrays)
        sequences = {
            name: {**row, **self.row(_curves([arrays[name]]))}
            for name, row in rows.sequences.items()
        }
        groups = self._groups(arrays)
        if not groups:
            overall = {**rows.overall, **self.row(_curves(arrays.values()))}
            return replace(rows, overall=overall, sequences=sequences)

        columns = next(iter(groups.values()))
        overall = {
            column: float(np.mean([row[column] for row in groups.values()])) for column in columns
        }

        for column in columns:
            letter, _, kind = column.partition("-")
            if kind == "Mean" and letter != "J&F":
                overall |= {f"{letter}-{group}-Mean": row[column] for group, row in groups.items()}

        return replace(
            rows, overall=overall, sequences=sequences, details={**rows.details, GROUPS: groups}
        )

    def row(self, objects: Collection[Curves]) -> Row:
        """The columns of a table over these objects."""
        return summary(objects, decay_uint8=self.benchmark.decay_uint8)

    def title(self, scores: Scores) -> str:
        """Says what means are over."""
        groups = scores.rows.details.get(GROUPS)
        if not groups:
            return super().title(scores)

        return f"{self.dataset} {scores.split}, mean over {' and '.join(groups)} objects"

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The two tables of ObjectsMetric, that of the split with all columns."""
        overall = csv_bytes(scores.overall, [decimals(scores.overall.values())])
        return {**super().files(scores), f"global_results-{scores.split}.csv": overall}

    def _groups(self, arrays: Mapping[str, Arrays]) -> dict[str, Row]:
        """The row of each group by name; nothing if an object has no group."""
        objects: dict[str, list[Curves]] = {}
        for of_sequence in arrays.values():
            curves = object_curves(of_sequence).values()
            for group, of_object in zip(of_sequence[GROUPS].tolist(), curves, strict=True):
                objects.setdefault(group, []).append(of_object)

        if "" in objects:
            return {}

        return {group: self.row(objects[group]) for group in sorted(objects)}


def _curves(every: Collection[Arrays]) -> list[Curves]:
    return [curves for arrays in every for curves in object_curves(arrays).values()]


METRIC = SeenMetric
