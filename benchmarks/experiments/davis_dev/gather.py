"""The table of `scripts/davis_dev.sh`: random initialisation against trained, per sequence."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiments.reports import read_json
from harness import table


def gather(folder: Path) -> dict[str, Any]:
    """Join scores, card and provenance of one working folder."""
    results = {name: scores(read_json(folder / name / "results.json")) for name in ("random_init", "trained")}
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
    """The configuration with OUT in the place of the working folder, which lies elsewhere on every machine."""
    data = str(config.get("data", ""))
    return {**config, "data": data.replace(str(folder), "OUT", 1)} if data else dict(config)


def scores(results: dict[str, Any]) -> dict[str, Any]:
    """J, F and J&F overall and per sequence."""
    return {**means(results["overall"]), "sequences": {n: means(s) for n, s in results["sequences"].items()}}


def means(row: dict[str, float]) -> dict[str, float]:
    """The three means of one row of results.json."""
    return {"J": row["J-Mean"], "F": row["F-Mean"], "J&F": row["J&F-Mean"]}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """`sequences`: J and F of every sequence and their means, in per cent."""
    before, after = result["random_init"], result["trained"]
    pairs = {name: (means, after["sequences"][name]) for name, means in before["sequences"].items()}
    pairs["**mean**"] = (before, after)

    rows = [[name, *compared("J", *pair), *compared("F", *pair)] for name, pair in pairs.items()]
    header = ["sequence", "J random", "J trained", "gain", "F random", "F trained", "gain"]
    return {"sequences": table(header, rows)}


def compared(measure: str, before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Both values of one measure and the gain, in per cent."""
    old, new = 100 * before[measure], 100 * after[measure]
    return [f"{old:.1f}", f"{new:.1f}", f"{new - old:+.1f}"]
