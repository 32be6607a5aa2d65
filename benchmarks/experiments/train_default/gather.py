"""The tables of `scripts/train_default.sh`: the shipped encoder against others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.davis_dev.gather import scores, training
from experiments.reports import read_json
from harness import table

FIRST = ("random", "demo", "default", "trained")
"""Columns in this order, as far as there are such encoders; all others follow."""


def gather(folder: Path) -> dict[str, Any]:
    """Join the scores of all encoders on all sets, and how the default one was trained."""
    sets = {title: _scores(folder / title) for title in ("davis", "objects") if (folder / title).is_dir()}
    return {"sets": sets, **training(folder)}


def _scores(folder: Path) -> dict[str, Any]:
    """The scores of each encoder, by its name."""
    found = {path.parent.name: scores(read_json(path)) for path in sorted(folder.glob("*/results.json"))}
    order = [*(name for name in FIRST if name in found), *(name for name in found if name not in FIRST)]
    return {name: found[name] for name in order}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """Of each set, a table of its name: J and F of every sequence and encoder, in per cent."""
    return {title: _table(encoders) for title, encoders in result["sets"].items()}


def _table(encoders: Mapping[str, Any]) -> str:
    header = ["sequence", *(f"{measure} {name}" for measure in "JF" for name in encoders)]
    sequences = next(iter(encoders.values()))["sequences"]
    rows = [[name, *_values([scores["sequences"][name] for scores in encoders.values()])] for name in sequences]
    return table(header, [*rows, ["**mean**", *_values(list(encoders.values()))]])


def _values(means: list[Mapping[str, float]]) -> list[str]:
    return [f"{100 * one[measure]:.1f}" for measure in "JF" for one in means]
