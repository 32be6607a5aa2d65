"""The table of `scripts/davis_dev.sh`: random initialisation against trained, per sequence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.reports import read_json
from harness import table

NETWORKS = ("random_init", "trained")
MEASURES = ("J", "F", "J&F")

Scores = Mapping[str, float]


def gather(folder: Path) -> dict[str, Any]:
    """Join the scores, the model card and the provenance of one working folder."""
    results = {}
    for name in NETWORKS:
        results[name] = scores(read_json(folder / name / "results.json"))

    return {**results, **training(folder)}


def training(folder: Path) -> dict[str, Any]:
    """How the encoder of a working folder was trained, and where."""
    card = read_json(folder / "run" / "encoder.json")["training"]
    provenance = read_json(folder / "run" / "provenance.json")
    return {
        "steps": card["steps"],
        "train_minutes": round(card["seconds"] / 60, 1),
        "videos": card["videos"],
        "machine": provenance["machine"],
        "versions": provenance["versions"],
        "commit": provenance["git_commit"],
        "config": without_place(card["config"], folder),
    }


def without_place(config: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The configuration with OUT instead of the working folder.

    The folder lies elsewhere on every machine, so its path would make equal results differ.
    """
    data = str(config.get("data", ""))
    if not data:
        return dict(config)

    return {**config, "data": data.replace(str(folder), "OUT", 1)}


def scores(results: dict[str, Any]) -> dict[str, Any]:
    """J, F and J&F overall and per sequence, from 0 to 1."""
    sequences = {name: means(row) for name, row in results["sequences"].items()}
    return {**means(results["overall"]), "sequences": sequences}


def means(row: Scores) -> dict[str, float]:
    """The three means of one row of results.json."""
    return {measure: row[f"{measure}-Mean"] for measure in MEASURES}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """`sequences`: J and F of every sequence and their means, in per cent."""
    before, after = result["random_init"], result["trained"]

    rows = []
    for name, random in before["sequences"].items():
        rows.append(_row(name, random, after["sequences"][name]))

    # The means of the evaluation itself, not of the rounded rows above.
    rows.append(_row("**mean**", before, after))

    header = ["sequence", "J random", "J trained", "gain", "F random", "F trained", "gain"]
    return {"sequences": table(header, rows)}


def _row(name: str, before: Scores, after: Scores) -> list[str]:
    """One line of the table."""
    return [name, *compared("J", before, after), *compared("F", before, after)]


def compared(measure: str, before: Scores, after: Scores) -> list[str]:
    """Both values of one measure and the gain, in per cent."""
    # The gain is rounded after the difference, so it may be 0.1 off that of the shown values.
    old, new = 100 * before[measure], 100 * after[measure]
    return [f"{old:.1f}", f"{new:.1f}", f"{new - old:+.1f}"]
