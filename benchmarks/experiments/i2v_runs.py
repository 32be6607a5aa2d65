"""What the tables of `scripts/adaptation.sh` and `scripts/i2v_tables.sh` have in common: runs,
budgets, numbers.
"""

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from densevos.config import to_dict
from densevos.methods.registry import read_config
from densevos.models.card import initial_weights
from experiments.reports import read_json

ADVERSARIAL = ("loss", "placement", "adversarial")
"""The options that methods differ in."""
FREE = (
    "loop.seed",
    "loop.device",
    "loop.workers",
    "loop.log_every",
    "loop.checkpoint_every",
    "loop.keep_last",
)
"""Those that any two runs may differ in: seeds, and what has no effect on the weights."""


def per_cent(results: Path) -> tuple[float, dict[str, float | None]]:
    """Mean IoU of a results.json and IoU of its classes, in per cent; None of a class that is
    nowhere.
    """
    found = read_json(results)
    classes = {
        name: None if one["IoU"] is None else 100 * one["IoU"]
        for name, one in found["classes"].items()
    }

    return 100 * found["overall"]["mIoU"], classes


def budget(run: Path) -> dict[str, Any]:
    """Epochs, steps, minutes and samples (of one process) of a run folder, and the weights that it
    began with.
    """
    card, loop = read_json(run / "model.json")["training"], read_config(run / "config.json").loop
    samples = card["steps"] * loop.batch * loop.accumulate
    minutes = round(card["seconds"] / 60, 2)
    cost = {"epochs": loop.epochs, "steps": card["steps"], "samples": samples, "minutes": minutes}

    return {**cost, "began": began(run)}


def began(run: Path) -> str:
    """The weights that a run folder's network began with: also whether those that its configuration
    names were had.
    """
    return initial_weights(read_json(run / "model.json")["training"])


def check_alike(runs: Sequence[Path], but: Collection[str] = ()) -> None:
    """Raise InputError unless these run folders agree in where they began and in all options but
    FREE and `but`.

    `but` names options (`loss`, `sets.names`) or whole groups of them (`adversarial`).
    """
    allowed = {*FREE, *but}
    configs = [
        options(to_dict(read_config(run / "config.json"))) | {"initial weights": began(run)}
        for run in runs
    ]

    for run, config in zip(runs, configs, strict=True):
        for name, value in configs[0].items():
            if config[name] != value and not allowed & {name, name.partition(".")[0]}:
                raise InputError(
                    f"{run}: was trained with {name} {config[name]}, but {runs[0]} with {value}, "
                    f"so they cannot be"
                    " compared; remove the one that is not wanted, or choose another OUT"
                )


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config.json with one level: `loop.epochs`."""
    groups = {name: value for name, value in config.items() if isinstance(value, dict)}
    plain = {name: value for name, value in config.items() if name not in groups}
    return plain | {
        f"{group}.{name}": value for group, parts in groups.items() for name, value in parts.items()
    }


def origin(runs: Iterable[Path]) -> dict[str, list[Any]]:
    """All commits (with `+` where the source was changed), machines and versions that made these
    run folders.
    """
    records = sorted(chain.from_iterable(run.glob("provenance*.json") for run in runs))
    found = [(path, read_json(path)) for path in records]
    return {
        "git_commits": unique(
            f"{one['git_commit']}{'+' * changed(path)}" if one["git_commit"] else None
            for path, one in found
        ),
        "machines": unique({**one["machine"], "device": one.get("device")} for _, one in found),
        "versions": unique(one["versions"] for _, one in found),
    }


def changed(provenance: Path) -> bool:
    """Whether the source differed from its commit, which a git.diff beside the record tells."""
    return (
        provenance.with_name(provenance.name.replace("provenance", "git"))
        .with_suffix(".diff")
        .is_file()
    )


def unique(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order."""
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)

    return kept


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and standard deviation, the mean with its sign if `sign` is +; – of no values."""
    if not values:
        return "–"

    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{sign}.2f}{deviation}"
