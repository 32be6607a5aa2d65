"""J and F of objects of seen and of unseen categories, and the mean of these groups."""

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
    """J and F of objects, averaged over groups of objects instead of over all objects.

    The groups are those of `VideoSequence.groups`: seen and unseen categories. J&F of the split is
    the mean of J and F of seen and of unseen objects, by which YouTube-VOS and LVOS rank methods.
    Without groups the numbers are those of ObjectsMetric.
    """

    name: ClassVar[str] = "seen"

    def measure(self, item: VideoSequence, folder: Path) -> Arrays:
        """Measure as ObjectsMetric does, and add the group of each object.

        Returns:
            The arrays of ObjectsMetric, and "groups" [objects] str; empty for objects without one.
        """
        arrays = super().measure(item, folder)
        # An array of text has no None, so empty text marks an object without a group.
        groups = [item.groups.get(id, "") for id in arrays["ids"].tolist()]
        return {**arrays, GROUPS: np.array(groups, dtype=str)}

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The mean over the groups, and the means of each group, such as J-seen-Mean.

        Details are the complete row of each group.
        """
        rows = super().combine(arrays)

        # Subclasses may have more columns than ObjectsMetric; sequences get them too.
        sequences = {}
        for name, row in rows.sequences.items():
            sequences[name] = {**row, **self.row(_curves([arrays[name]]))}

        groups = self._groups(arrays)
        if not groups:
            overall = {**rows.overall, **self.row(_curves(arrays.values()))}
            return replace(rows, overall=overall, sequences=sequences)

        # All groups have the same columns.
        columns = list(next(iter(groups.values())))
        overall = {}
        for column in columns:
            overall[column] = float(np.mean([row[column] for row in groups.values()]))

        # The means of J and of F get a column for each group, as papers report them.
        for column in columns:
            letter, _, kind = column.partition("-")
            if kind == "Mean" and letter != "J&F":
                for group, row in groups.items():
                    overall[f"{letter}-{group}-Mean"] = row[column]

        details = {**rows.details, GROUPS: groups}
        return replace(rows, overall=overall, sequences=sequences, details=details)

    def row(self, objects: Collection[Curves]) -> Row:
        """The columns of a table over these objects; subclasses add theirs."""
        return summary(objects, decay_uint8=self.benchmark.decay_uint8)

    def title(self, scores: Scores) -> str:
        """Title that says what the means are over."""
        groups = scores.rows.details.get(GROUPS)
        if not groups:
            return super().title(scores)

        return f"{self.dataset} {scores.split}, mean over {' and '.join(groups)} objects"

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The two tables of ObjectsMetric; the table of the split has all columns."""
        overall = csv_bytes(scores.overall, [decimals(scores.overall.values())])
        return {**super().files(scores), f"global_results-{scores.split}.csv": overall}

    def _groups(self, arrays: Mapping[str, Arrays]) -> dict[str, Row]:
        """The row of each group by name; empty if any object has no group."""
        objects: dict[str, list[Curves]] = {}
        for of_sequence in arrays.values():
            curves = object_curves(of_sequence).values()
            for group, of_object in zip(of_sequence[GROUPS].tolist(), curves, strict=True):
                objects.setdefault(group, []).append(of_object)

        # A mean over the groups would leave out objects without a group.
        if "" in objects:
            return {}

        return {group: self.row(objects[group]) for group in sorted(objects)}


def _curves(every: Collection[Arrays]) -> list[Curves]:
    """The curves of all objects of these sequences."""
    return [curves for arrays in every for curves in object_curves(arrays).values()]


METRIC = SeenMetric
