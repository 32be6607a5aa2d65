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
    scores = read_json(results)

    # A class that neither labels nor predictions show has no IoU.
    classes = {}
    for name, row in scores["classes"].items():
        classes[name] = None
        if row["IoU"] is not None:
            classes[name] = 100 * row["IoU"]

    return 100 * scores["overall"]["mIoU"], classes


def budget(run: Path, working_folder: Path) -> dict[str, Any]:
    """Epochs, steps, minutes and samples (of one process) of a run folder, and the weights that it
    began with.

    A kept result does not say where files lay: weights have their path below the working folder, or
    the name of their file.
    """
    config = read_config(run / "config.json")
    card, loop = read_json(run / "model.json")["training"], config.loop

    # The card counts steps of the optimiser; each takes `accumulate` batches.
    samples = card["steps"] * loop.batch * loop.accumulate
    minutes = round(card["seconds"] / 60, 2)
    cost = {"epochs": loop.epochs, "steps": card["steps"], "samples": samples, "minutes": minutes}

    told = began(run)
    weights = to_dict(config)["network"]["weights"]
    if weights is not None and Path(weights).is_absolute():
        told = told.removeprefix(f"{working_folder}/").replace(weights, Path(weights).name)

    return {**cost, "began": told}


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

    # Initial weights are no single option, but they make results differ as much as one.
    configs = []
    for run in runs:
        config = options(to_dict(read_config(run / "config.json")))
        configs.append(config | {"initial weights": began(run)})

    # Every run is compared with the first one, which stands in the message.
    for run, config in zip(runs, configs, strict=True):
        for name, value in configs[0].items():
            group = name.partition(".")[0]
            if config[name] != value and not allowed & {name, group}:
                raise InputError(
                    f"{run}: was trained with {name} {config[name]}, but {runs[0]} with {value}, "
                    "so they cannot be compared; remove the one that is not wanted, or choose "
                    "another OUT"
                )


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config.json with one level: `loop.epochs`."""
    plain, of_groups = {}, {}
    for name, value in config.items():
        if isinstance(value, dict):
            for part, part_value in value.items():
                of_groups[f"{name}.{part}"] = part_value
        else:
            plain[name] = value

    # Plain options first: of two differences, the message then names the plain one.
    return plain | of_groups


def origin(runs: Iterable[Path]) -> dict[str, list[Any]]:
    """All commits (with `+` where the source was changed), machines and versions that made these
    run folders.
    """
    # A run has a record for each time that it was started or resumed.
    paths = sorted(chain.from_iterable(run.glob("provenance*.json") for run in runs))

    commits, machines, versions = [], [], []
    for path in paths:
        record = read_json(path)
        commit = record["git_commit"]
        if commit and changed(path):
            commit += "+"

        # No commit: the source was no checkout of git.
        commits.append(commit or None)
        machines.append({**record["machine"], "device": record.get("device")})
        versions.append(record["versions"])

    return {
        "git_commits": unique(commits),
        "machines": unique(machines),
        "versions": unique(versions),
    }


def changed(provenance: Path) -> bool:
    """Whether the source differed from its commit: there is a git.diff beside the record then."""
    # provenance-step-9.json has its changes in git-step-9.diff.
    name = provenance.name.replace("provenance", "git")
    return provenance.with_name(name).with_suffix(".diff").is_file()


def unique(values: Iterable[Any]) -> list[Any]:
    """Each value once, in order."""
    # Not a set: machines are dictionaries, which cannot be hashed.
    kept: list[Any] = []
    for value in values:
        if value not in kept:
            kept.append(value)

    return kept


def spread(values: Sequence[float], sign: str = "") -> str:
    """Mean and standard deviation, the mean with its sign if `sign` is +; – of no values."""
    if not values:
        return "–"

    # The deviation of a sample; one value has none.
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):{sign}.2f}{deviation}"
