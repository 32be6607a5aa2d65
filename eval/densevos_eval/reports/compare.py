"""Results beside one another: differences to the first, sequences won, and how sure the difference
is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.reports.results import Results, lower_is_better

RESAMPLES = 10_000
LEVEL = 0.95
TIE = 0.0005  # Differences that one decimal of a per cent does not show.


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One number of a result against the same number of the first.

    interval: bounds of the difference of the whole split if other sequences had been drawn; None
    where it is not
        a mean over sequences, or where there are fewer than two of them.
    wins, losses, ties: in how many sequences it is better, worse, or the same to a tenth of a per
    cent.
    """

    value: float
    interval: tuple[float, float] | None
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Results of one benchmark, and for each after the first its differences to it by column."""

    results: tuple[Results, ...]
    differences: tuple[Mapping[str, Difference], ...]

    @property
    def first(self) -> Results:
        """What the others are compared with."""
        return self.results[0]


def compare(results: Sequence[Results], generator: np.random.Generator) -> Comparison:
    """Compare results of the same sequences (see results.check_same) with the first of them."""
    first, *others = results
    differences = tuple(
        {
            column: difference(first, other, column, generator)
            for column in first.overall
            if column in other.overall
        }
        for other in others
    )

    return Comparison(results=tuple(results), differences=differences)


def difference(
    first: Results, other: Results, column: str, generator: np.random.Generator
) -> Difference:
    """How `other` differs from `first` in one column."""
    names = [
        name
        for name, one in first.sequences.items()
        if np.isfinite([r.row.get(column, np.nan) for r in (one, other.sequences[name])]).all()
    ]
    each = np.array(
        [other.sequences[name].row[column] - first.sequences[name].row[column] for name in names]
    )
    weights = np.array([_weight(first, name, column) for name in names])
    groups = np.array([_group(first, name) for name in names])
    value = other.overall[column] - first.overall[column]
    # Numbers over all pixels or joints are no means over sequences; resampling those would say
    # nothing of them.
    resampled = len(names) > 1 and np.isclose(_mean(each, weights, groups), value, atol=1e-9)
    good = -each if lower_is_better(column) else each

    return Difference(
        value=value,
        interval=bootstrap_interval(each, weights, groups, generator) if resampled else None,
        wins=int(np.sum(good >= TIE)),
        losses=int(np.sum(good <= -TIE)),
        ties=int(np.sum(np.abs(good) < TIE)),
    )


def bootstrap_interval(
    each: np.ndarray, weights: np.ndarray, groups: np.ndarray, generator: np.random.Generator
) -> tuple[float, float]:
    """The 95 % interval of the mean difference if other sequences had been drawn: paired percentile
    bootstrap.

    each: difference of every sequence [n]. weights: their shares of the mean of their group [n],
    such as their number of objects. groups: name of the group [n]; sequences are drawn within it,
    and the groups' means averaged.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    means = np.zeros(RESAMPLES)
    names = np.unique(groups)
    for name in names:
        own = groups == name
        count = int(own.sum())
        drawn = (
            generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES) * weights[own]
        )  # [R,n]
        means += drawn @ each[own] / drawn.sum(axis=1) / len(names)

    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _mean(each: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> float:
    own = [groups == name for name in np.unique(groups)]
    return float(np.mean([np.average(each[one], weights=weights[one]) for one in own]))


def _weight(results: Results, name: str, column: str) -> float:
    """J and F are means over all objects of a split, T over its sequences; classes are means over
    their shots.
    """
    if column.startswith("T-") or _over_classes(results):
        return 1.0

    return float(len(results.sequences[name].objects) or 1)


def _group(results: Results, name: str) -> str:
    return name.split("/")[0] if _over_classes(results) and "/" in name else ""


def _over_classes(results: Results) -> bool:
    protocol = PROTOCOLS.get(results.dataset)
    return protocol is not None and protocol.mean_over_classes
