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
class SweepEntry:
    """One setting, its scores, and the seconds that its masks took without the features."""

    config: PropagationConfig
    results: Results
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """All settings of a sweep; all are compared with the first.

    entries: Name of each setting -> its scores, in the order of the run.
    encoder: Encoder, layer, precision and device that computed the features.
    features: Seconds that the features took, once for all settings.
    broken: Sequence without scores -> reason; the numbers are those of all other sequences.
    """

    entries: Mapping[str, SweepEntry]
    encoder: Mapping[str, str]
    features: float
    broken: Mapping[str, str] = field(default_factory=dict)

    @property
    def first(self) -> Results:
        """The scores of the first setting."""
        return self.entries[self.first_name].results

    @property
    def first_name(self) -> str:
        """The name of the first setting."""
        return next(iter(self.entries))

    @property
    def saved(self) -> float:
        """Share of the time that was saved by not computing features again for each setting."""
        # Without sharing, every setting but the first would compute the features again.
        again = self.features * (len(self.entries) - 1)
        seconds = sum(entry.seconds for entry in self.entries.values())
        return again / (again + self.features + seconds)

    @property
    def ranked(self) -> list[tuple[str, SweepEntry]]:
        """Settings by name, best headline first; ties keep their order, NaN comes last."""
        column = self.first.headline
        values, without = {}, []
        for name, entry in self.entries.items():
            value = entry.results.overall[column]
            if math.isnan(value):
                without.append(name)
            else:
                values[name] = value

        # Python's sort keeps the order of ties.
        best_first = sorted(values, key=values.__getitem__, reverse=not lower_is_better(column))
        ranking = best_first + without
        return [(name, self.entries[name]) for name in ranking]

    def difference(self, name: str) -> float:
        """How the headline of a setting differs from the first one's."""
        column = self.first.headline
        return self.entries[name].results.overall[column] - self.first.overall[column]


def write_sweep(sweep: Sweep, folder: Path) -> None:
    """Write FOLDER/sweep.csv and FOLDER/sweep.json, numbers as shares 0 to 1."""
    # CSV has the columns of the table on the screen, JSON all of them.
    rows, all_columns = [], []
    for name, entry in sweep.ranked:
        rows.append(_row(sweep, name, entry, entry.results.columns))
        all_columns.append(_row(sweep, name, entry, list(entry.results.overall)))

    with atomic_write(folder / "sweep.csv", "w") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

    # The JSON file tells what was compared, so that it can be read without the folder.
    content: dict[str, object] = {
        "version": densevos.__version__,
        "dataset": sweep.first.dataset,
        "split": sweep.first.split,
    }
    if sweep.broken:
        content["broken"] = dict(sweep.broken)

    content |= {
        **sweep.encoder,
        "first": sweep.first_name,
        "seconds_features": round(sweep.features, 2),
        "share_of_time_saved": round(sweep.saved, 4),
        "settings": all_columns,
    }
    write_json(folder / "sweep.json", content)


def _row(sweep: Sweep, name: str, entry: SweepEntry, columns: Sequence[str]) -> dict[str, object]:
    """Setting, scores, difference and seconds; None if there is no number."""
    # JSON and CSV have no NaN, so a missing number is None below.
    numbers = {column: entry.results.overall[column] for column in columns}
    numbers["difference"] = sweep.difference(name)

    row: dict[str, object] = {"setting": name, **entry.config.facts()}
    for key, value in numbers.items():
        row[key] = None if math.isnan(value) else value

    row["seconds"] = round(entry.seconds, 2)
    return row


def sweep_table(sweep: Sweep) -> Table:
    """A table for the screen, in per cent, best setting first."""
    first, columns = sweep.first_name, sweep.first.columns
    without = f", WITHOUT {len(sweep.broken)} that are broken" if sweep.broken else ""
    table = Table(
        title=(
            f"{sweep.first.dataset} {sweep.first.split}{without}, in per cent, best first;"
            f" change from {first}"
        ),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    # Short headings keep the table narrow enough for a terminal.
    means = [column.removesuffix("-Mean") for column in columns]
    for heading in ("context", "radius", "top-k", "temperature", *means, "change", "seconds"):
        table.add_column(heading, justify="right")

    for name, entry in sweep.ranked:
        config = entry.config
        # Settings that a grid varies, then scores, then cost.
        values = [
            f"{config.context}",
            f"{config.radius:g}",
            f"{config.topk}",
            f"{config.temperature:g}",
        ]
        scores = [percent(entry.results.overall[column]) for column in columns]
        change = "first" if name == first else percent(sweep.difference(name), sign=True)
        table.add_row(*values, *scores, change, f"{entry.seconds:.1f}")

    return table
