"""A sweep as a table on the screen, as CSV and as JSON; best setting first."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.table import Table

import densevos
from densevos.base.files import atomic_write, write_json
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.reports.compare_tables import percent
from densevos_eval.reports.results import Results, lower_is_better


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One setting, its scores, and the seconds that its masks took without the features."""

    config: PropagationConfig
    results: Results
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Settings by name in the order they were tried; the others are compared with the first.

    encoder: what computed the features. features: the seconds it took, once for all settings.
    broken: sequence without scores -> why; the numbers are then those of the others.
    """

    tried: Mapping[str, Tried]
    encoder: Mapping[str, str]
    features: float
    broken: Mapping[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Results:
        """The scores of the first setting."""
        return next(iter(self.tried.values())).results

    @property
    def saved(self) -> float:
        """Share of the time that computing the features anew for every setting would have taken
        more.
        """
        again = self.features * (len(self.tried) - 1)
        return again / (again + self.features + sum(one.seconds for one in self.tried.values()))

    @property
    def ranked(self) -> list[tuple[str, Tried]]:
        """Best headline first, equals in their order, those without a number last."""
        column = self.first.headline
        values = {name: one.results.overall[column] for name, one in self.tried.items()}
        known = [name for name in self.tried if not math.isnan(values[name])]
        best_first = sorted(known, key=values.__getitem__, reverse=not lower_is_better(column))
        lost = [name for name in self.tried if name not in known]

        return [(name, self.tried[name]) for name in best_first + lost]

    def difference(self, name: str) -> float:
        """How the headline of a setting differs from the first one's."""
        return (
            self.tried[name].results.overall[self.first.headline]
            - self.first.overall[self.first.headline]
        )


def write_sweep(sweep: Sweep, folder: Path) -> None:
    """Write sweep.csv and sweep.json, numbers as shares 0 to 1."""
    rows = [_row(sweep, name, one, one.results.columns) for name, one in sweep.ranked]
    with atomic_write(folder / "sweep.csv", "w") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

    everything = {
        "version": densevos.__version__,
        "dataset": sweep.first.dataset,
        "split": sweep.first.split,
        **({"broken": dict(sweep.broken)} if sweep.broken else {}),
        **sweep.encoder,
        "first": next(iter(sweep.tried)),
        "seconds_features": round(sweep.features, 2),
        "share_of_time_saved": round(sweep.saved, 4),
        "settings": [
            _row(sweep, name, one, list(one.results.overall)) for name, one in sweep.ranked
        ],
    }
    write_json(folder / "sweep.json", everything)


def _row(sweep: Sweep, name: str, one: Tried, columns: Sequence[str]) -> dict[str, object]:
    """Setting, scores, difference and seconds; None where there is no number."""
    numbers = {
        **{column: one.results.overall[column] for column in columns},
        "difference": sweep.difference(name),
    }
    known = {key: None if math.isnan(value) else value for key, value in numbers.items()}

    return {"setting": name, **one.config.facts(), **known, "seconds": round(one.seconds, 2)}


def sweep_table(sweep: Sweep) -> Table:
    """Table for the screen, in per cent."""
    first, columns = next(iter(sweep.tried)), sweep.first.columns
    without = f", WITHOUT {len(sweep.broken)} that are broken" if sweep.broken else ""
    table = Table(
        title=f"{sweep.first.dataset} {sweep.first.split}{without}, in per cent, best first; change from {first}",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    means = [column.removesuffix("-Mean") for column in columns]
    for heading in ("context", "radius", "top-k", "temperature", *means, "change", "seconds"):
        table.add_column(heading, justify="right")

    for name, one in sweep.ranked:
        config = one.config
        values = [
            f"{config.context}",
            f"{config.radius:g}",
            f"{config.topk}",
            f"{config.temperature:g}",
        ]
        scores = [percent(one.results.overall[column]) for column in columns]
        change = "first" if name == first else percent(sweep.difference(name), sign=True)
        table.add_row(*values, *scores, change, f"{one.seconds:.1f}")

    return table
