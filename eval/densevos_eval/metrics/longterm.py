"""Long videos (LVOS): J and F of seen and unseen objects, and how much they vary over time."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from densevos_eval.metrics.metric import Row
from densevos_eval.metrics.objects import Curves
from densevos_eval.metrics.seen import SeenMetric


@dataclass(frozen=True, kw_only=True)
class LongTermMetric(SeenMetric):
    """SeenMetric with a column V: the variation of J&F over the frames, mean over objects; lower is
    better.
    """

    name: ClassVar[str] = "long-term"

    def row(self, objects: Collection[Curves]) -> Row:
        """The columns of SeenMetric, and V."""
        row = super().row(objects)
        return (
            {**row, "V-Mean": float(np.mean([variation(curves) for curves in objects]))}
            if row
            else row
        )


def variation(curves: Curves) -> float:
    """Standard deviation of the mean of J and F over the frames in which an object counts.

    Source: Hong et al., LVOS, ICCV 2023, section 5; the variance is rounded to four decimals, as in
    its program.
    """
    both = (curves["J"] + curves["F"]) / 2
    known = both[~np.isnan(both)]
    return math.sqrt(round(float(np.mean((known - known.mean()) ** 2)), 4))


METRIC = LongTermMetric
