"""The tables of `scripts/train_default.sh`: the shipped encoder against others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments.davis_dev.gather import scores, training
from experiments.reports import read_json
from harness import table

SETS = ("davis", "objects")
FIRST = ("random", "demo", "default", "trained")
"""Columns in this order, as far as there are such encoders; all others follow."""


def gather(folder: Path) -> dict[str, Any]:
    """Join the scores of all encoders on all sets, and how the default one was trained."""
    sets = {}
    for title in SETS:
        if (folder / title).is_dir():
            sets[title] = _scores(folder / title)

    return {"sets": sets, **training(folder)}


def _scores(folder: Path) -> dict[str, Any]:
    """The scores of each encoder, by its name."""
    by_name = {}
    for path in sorted(folder.glob("*/results.json")):
        by_name[path.parent.name] = scores(read_json(path))

    # The sort keeps the order of names that FIRST does not have.
    ordered = sorted(by_name, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    return {name: by_name[name] for name in ordered}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """For each set a table of its name: J and F of every sequence and encoder, in per cent."""
    return {title: _table(encoders) for title, encoders in result["sets"].items()}


def _table(encoders: Mapping[str, Any]) -> str:
    """One row for each sequence, one column for each measure and encoder."""
    columns = []
    for measure in "JF":
        columns += [f"{measure} {name}" for name in encoders]

    overall = list(encoders.values())

    rows = []
    for sequence in overall[0]["sequences"]:
        of_sequence = [encoder["sequences"][sequence] for encoder in overall]
        rows.append([sequence, *_values(of_sequence)])

    rows.append(["**mean**", *_values(overall)])
    return table(["sequence", *columns], rows)


def _values(encoders: Sequence[Mapping[str, float]]) -> list[str]:
    """J of all encoders, then F of all, in per cent."""
    values = []
    for measure in "JF":
        values += [f"{100 * encoder[measure]:.1f}" for encoder in encoders]

    return values
