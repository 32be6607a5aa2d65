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
    """SeenMetric with a column V: the variation of J&F over time, averaged over objects.

    Lower is better.
    """

    name: ClassVar[str] = "long-term"

    def row(self, objects: Collection[Curves]) -> Row:
        """The columns of SeenMetric, and V."""
        row = super().row(objects)
        if not row:  # There are no objects.
            return row

        variations = [variation(curves) for curves in objects]
        return {**row, "V-Mean": float(np.mean(variations))}


def variation(curves: Curves) -> float:
    """Standard deviation of the mean of J and F over the frames in which an object counts.

    Source: Hong et al., LVOS, ICCV 2023, section 5, and the authors' program.
    """
    # [frames]; NaN in frames in which the object does not count.
    both = (curves["J"] + curves["F"]) / 2
    values = both[~np.isnan(both)]

    # The authors' program rounds the variance to four decimals.
    variance = round(float(np.mean((values - values.mean()) ** 2)), 4)
    return math.sqrt(variance)


METRIC = LongTermMetric
