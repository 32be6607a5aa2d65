"""Compare results: differences to the first, sequences won, and bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from densevos_eval.protocols.registry import PROTOCOLS
from densevos_eval.reports.results import Results, lower_is_better

RESAMPLES = 10_000
LEVEL = 0.95
# Smaller differences vanish when per cent are printed with one decimal.
TIE = 0.0005


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The difference of one number to the same number of the first result.

    value: The difference over the complete split.
    interval: Its bounds if other sequences had been drawn; None if the number is not a mean over
        sequences, or if there are fewer than two of them.
    wins, losses, ties: Number of sequences in which the result is better, worse, or the same to a
        tenth of a per cent.
    """

    value: float
    interval: tuple[float, float] | None
    wins: int
    losses: int
    ties: int


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Results of one benchmark, and the differences of all but the first to the first.

    differences: For each result after the first, column -> difference.
    """

    results: tuple[Results, ...]
    differences: tuple[Mapping[str, Difference], ...]

    @property
    def first(self) -> Results:
        """The result that the others are compared with."""
        return self.results[0]


def compare(results: Sequence[Results], generator: np.random.Generator) -> Comparison:
    """Compare results with the first of them.

    Args:
        results: Results of the same sequences; see `results.check_same`.
        generator: Draws the resamples of the bootstrap.
    """
    # The first result is the baseline, which has no differences of its own.
    first, *others = results
    differences = []
    for other in others:
        by_column = {}
        for column in first.overall:
            if column in other.overall:
                by_column[column] = difference(first, other, column, generator)

        differences.append(by_column)

    return Comparison(results=tuple(results), differences=tuple(differences))


def difference(
    first: Results, other: Results, column: str, generator: np.random.Generator
) -> Difference:
    """How `other` differs from `first` in one column.

    Args:
        first: The result to compare with.
        other: A result of the same sequences.
        column: Name of the number.
        generator: Draws the resamples of the bootstrap.
    """
    # Only sequences with a number in both results can be compared.
    names, gaps = [], []
    for name, result in first.sequences.items():
        before = result.row.get(column, np.nan)
        after = other.sequences[name].row.get(column, np.nan)
        if np.isfinite(before) and np.isfinite(after):
            names.append(name)
            gaps.append(after - before)

    differences = np.array(gaps)
    weights = np.array([_weight(first, name, column) for name in names])
    groups = np.array([_group(first, name) for name in names])
    # The difference of the numbers that tables print, over the complete split.
    value = other.overall[column] - first.overall[column]

    # Numbers over all pixels or joints are not means over sequences, so resampling sequences would
    # give a wrong interval.
    interval = None
    if len(names) > 1 and np.isclose(_mean(differences, weights, groups), value, atol=1e-9):
        interval = bootstrap_interval(differences, weights, groups, generator)

    # Gains are differences that are positive if the result is better.
    gains = differences
    if lower_is_better(column):
        gains = -differences

    return Difference(
        value=value,
        interval=interval,
        wins=int(np.sum(gains >= TIE)),
        losses=int(np.sum(gains <= -TIE)),
        ties=int(np.sum(np.abs(gains) < TIE)),
    )


def bootstrap_interval(
    differences: np.ndarray,
    weights: np.ndarray,
    groups: np.ndarray,
    generator: np.random.Generator,
) -> tuple[float, float]:
    """The 95 % interval of a mean difference over sequences: paired percentile bootstrap.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.

    Args:
        differences: Difference of every sequence [n].
        weights: Weight [n] of each sequence in the mean of its group, such as its number of
            objects.
        groups: Name [n] of the group of each sequence. Sequences are drawn within their group, and
            the means of the groups are averaged.
        generator: Draws the resamples.

    Returns:
        Lower and upper bound.
    """
    # Shapes: R resamples, n sequences of the group.
    means = np.zeros(RESAMPLES)  # [R]
    names = np.unique(groups)
    for name in names:
        members = groups == name
        count = int(members.sum())
        # Sequences are drawn with replacement, so the numbers of draws are multinomial. The
        # bootstrap is paired, since both results of a sequence are drawn together, as their
        # difference.
        # How often each sequence is drawn, times its weight: [R,n].
        times = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
        drawn = times * weights[members]
        means += drawn @ differences[members] / drawn.sum(axis=1) / len(names)

    # The percentile interval: equal shares of the resamples lie below and above it.
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _mean(differences: np.ndarray, weights: np.ndarray, groups: np.ndarray) -> float:
    """The mean of the weighted means of the groups; all arrays are [n]."""
    means = []
    for name in np.unique(groups):
        members = groups == name
        means.append(np.average(differences[members], weights=weights[members]))

    return float(np.mean(means))


def _weight(results: Results, name: str, column: str) -> float:
    """The weight of a sequence in the mean of a column.

    J and F are means over all objects of a split, T over its sequences, and classes are means over
    their sequences.
    """
    if column.startswith("T-") or _over_classes(results):
        return 1.0

    # Sequences without objects, such as those with joints, all weigh the same.
    return float(len(results.sequences[name].objects) or 1)


def _group(results: Results, name: str) -> str:
    """The class of a sequence CLASS/SHOT if the benchmark averages over classes."""
    if _over_classes(results) and "/" in name:
        return name.split("/")[0]

    # All sequences are one group.
    return ""


def _over_classes(results: Results) -> bool:
    protocol = PROTOCOLS.get(results.dataset)
    return protocol is not None and protocol.mean_over_classes
