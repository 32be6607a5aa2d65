"""How much of a domain gap an adaptation closed, and whether the adversary closed it.

All numbers are mIoU, as shares 0 to 1. An adaptation without labels starts from a network that was
trained on the source alone (`before`). At best it does as well as a network that was trained with
the target's labels (`ceiling`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.table import Table

from densevos.base.errors import InputError
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.results import FILE, Results, check_same, read_results

METRIC = "mIoU"

SAME = 0.005
"""Results count as equal up to this difference; two seeds often differ by more."""

COLLAPSED = 0.2
"""Share of the source's mIoU that an adaptation may lose; more means that it destroyed features
which both domains need."""

TITLES = {
    "before": "before",
    "statistics": "before, statistics of the target",
    "control": "control (mu 0)",
    "after": "after",
    "ceiling": "with the target's labels",
}


@dataclass(frozen=True, kw_only=True)
class Gap:
    """mIoU on the target and on the source; None for what was not measured.

    before: On the target, of the network trained on the source alone.
    after: On the target, after the adaptation.
    ceiling: On the target, of a network trained with the target's labels.
    control: On the target, of a network trained like `after` but without adversary (mu of 0).
    statistics: On the target, of `before` with BatchNorm's statistics of the target.
    source_before, source_after: On the source, of `before` and `after`.
    """

    before: float
    after: float
    ceiling: float | None = None
    control: float | None = None
    statistics: float | None = None
    source_before: float | None = None
    source_after: float | None = None

    @property
    def exists(self) -> bool | None:
        """Whether the target's labels help at all; None if that was not measured."""
        if self.ceiling is None:
            return None

        return self.ceiling - self.before > SAME

    @property
    def rows(self) -> dict[str, float]:
        """What was measured on the target, in the order of the table."""
        rows = {}
        for name in TITLES:
            value = getattr(self, name)
            if value is not None:
                rows[name] = value

        return rows

    def closed(self, value: float) -> float | None:
        """The share of the gap that `value` closes; None if there is no gap."""
        # A share of a gap that is within the noise would be an arbitrary number.
        if self.ceiling is None or not self.exists:
            return None
        return (value - self.before) / (self.ceiling - self.before)


def read_gap(target: Mapping[str, Path | None], source: Mapping[str, Path | None]) -> Gap:
    """Read the results that a gap consists of.

    Args:
        target: Name of a field of `Gap` -> folder of its results; None for what was not measured.
        source: The same for the results on the source.

    Raises:
        InputError: A result cannot be read or has no mIoU; results of one domain differ in set,
            split, classes, frames or annotations; or only one result on the source is given.
    """
    # One result alone cannot show what the adaptation did to the source.
    missing = [path is None for path in source.values()]
    if any(missing) and not all(missing):
        raise InputError("--source-before, --source-after: belong together; give both, or neither")

    numbers: dict[str, float] = {}
    for domain in (target, source):
        every = {name: _read(name, path) for name, path in domain.items() if path is not None}
        # Only results on the same frames can be compared.
        first = next(iter(every.values()), None)
        for name, results in every.items():
            if first:
                check_same(first, results)

            numbers[name] = results.overall[METRIC]

    return Gap(**numbers)


def _read(name: str, path: Path) -> Results:
    """One result, from its folder or from its results.json."""
    option = f"--{name.replace('_', '-')}"
    folder = path.parent if path.name == FILE else path
    results = read_results(folder)
    if METRIC not in results.overall:
        raise InputError(f"{option} {path}: has no {METRIC}; score it with --set SET:ROOT")

    # With NaN all later comparisons would be false, and the judgement arbitrary.
    value = results.overall[METRIC]
    if value != value:  # NaN
        raise InputError(
            f"{option} {path}: its {METRIC} is no number, since nothing is annotated;"
            " score another split"
        )

    # Otherwise the gain of another method would be credited to the statistics. Results without a
    # record of their settings cannot be checked.
    if name == "statistics" and results.made_with and "statistics" not in results.made_with:
        raise InputError(
            f"{option} {path}: was segmented without --adapt-statistics;"
            " segment and score again with it"
        )

    return results


def judgement(gap: Gap) -> str:
    """What the adaptation did to the target, in one line."""
    change = f"{percent(gap.before)} -> {percent(gap.after)}"
    gain = gap.after - gap.before
    # First of all: without a gap, neither gain nor loss says anything about closing it.
    if gap.ceiling is not None and not gap.exists:
        return f"there is no gap to close: {percent(gap.before)} before{_ceiling(gap)}"
    if abs(gain) <= SAME:
        return f"changes nothing: {change}{_ceiling(gap)}"
    if gain < 0:
        return f"does harm: {change}{_ceiling(gap)}"

    # Without the ceiling, nobody knows how large the gap is.
    share = gap.closed(gap.after)
    if share is None:
        return (
            f"gains {percent(gain)} points: {change}; --ceiling tells how much of the gap that is"
        )

    # The ceiling is a measurement too, so that an adaptation may exceed it.
    if share >= 1:
        return f"closes the whole gap: {change}{_ceiling(gap)}"

    return f"closes {100 * share:.0f} % of the gap: {change}{_ceiling(gap)}"


def warnings_of(gap: Gap) -> list[str]:
    """What speaks against the adversary, one line for each reason."""
    lines = []
    # Without adversary, or without any training, the result would have been as good.
    if gap.control is not None and gap.control >= gap.after - SAME:
        lines.append(f"the control does {_rank(gap.control, gap)}: the adversary adds nothing")
    if gap.statistics is not None and gap.statistics >= gap.after - SAME:
        lines.append(
            f"BatchNorm's statistics of the target do {_rank(gap.statistics, gap)} without"
            " training: segment --adapt-statistics is enough"
        )

    if gap.source_before is not None and gap.source_after is not None:
        change = f"source mIoU {percent(gap.source_before)} -> {percent(gap.source_after)}"
        # A relative loss, since the level of mIoU depends on the classes.
        if gap.source_after < (1 - COLLAPSED) * gap.source_before:
            lines.append(
                f"{change}: the adversary took what both domains need; lower --adversarial.mu"
            )

    return lines


def gap_table(gap: Gap) -> Table:
    """A table for the screen, in per cent."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("target", no_wrap=True)
    for heading in (f"{METRIC} %", "change", "gap closed %"):
        table.add_column(heading, justify="right")

    # A rule below the last row of the target sets off the rows of the source.
    last = list(gap.rows)[-1]
    for name, value in gap.rows.items():
        change = ""
        if name != "before":
            change = percent(value - gap.before, sign=True)

        closed = gap.closed(value)
        # Of `before` and `ceiling` the share is 0 and 100 % by definition.
        share = ""
        if closed is not None and name not in ("before", "ceiling"):
            share = f"{100 * closed:.0f}"

        table.add_row(TITLES[name], percent(value), change, share, end_section=name == last)

    if gap.source_before is not None and gap.source_after is not None:
        table.add_row("source before", percent(gap.source_before))
        table.add_row(
            "source after",
            percent(gap.source_after),
            percent(gap.source_after - gap.source_before, sign=True),
        )

    return table


def gap_json(gap: Gap) -> dict[str, object]:
    """Everything that is printed, at full precision; null if there is no number."""
    target = {}
    for name, value in gap.rows.items():
        target[name] = {
            METRIC: value,
            "difference": value - gap.before,
            "closed": gap.closed(value),
        }

    source = {"before": gap.source_before, "after": gap.source_after}

    return {
        "target": target,
        "source": source,
        "judgement": judgement(gap),
        "warnings": warnings_of(gap),
    }


def _rank(value: float, gap: Gap) -> str:
    """How a result that is not worse than `after` compares with it."""
    rank = "better" if value > gap.after + SAME else "as well"
    return f"{rank} ({percent(value)})"


def _ceiling(gap: Gap) -> str:
    """The end of a sentence that names the ceiling, if it was measured."""
    if gap.ceiling is None:
        return ""

    return f", {percent(gap.ceiling)} with the target's labels"
