"""The tables of `scripts/zero_shot_dev.sh`: each method with the CRF and without, and its J in every sequence."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from densevos.engine.provenance import commit, processor
from experiments.reports import read_json
from harness import table

ROWS = {
    "motion": "motion",
    "consensus": "consensus",
    "consensus_encoder": "consensus, votes between features of an encoder",
}
PUBLISHED = {"FST": 55.8, "NLC": 55.1, "MuG, round 2": 58.0}
"""J on the whole of DAVIS-2016 val, as the papers print it: two without learning, one without labels."""


def gather(folder: Path) -> dict[str, Any]:
    """Scores of all methods that were run."""
    results = {name: folder / name for name in ROWS if (folder / name / "results.json").is_file()}
    rows = {
        name: {"crf": scores(path / "results.json"), "no_crf": scores(path / "no-crf" / "results.json")}
        for name, path in results.items()
    }
    machine = {"processor": processor(), "threads": len(os.sched_getaffinity(0))}
    return {"rows": rows, "machine": machine, "commit": commit() or "unknown", "versions": versions()}


def versions() -> dict[str, str]:
    """Of the libraries that decide the result."""
    return {name: version(name) for name in ("torch", "numpy", "scikit-image", "opencv-contrib-python-headless")}


def scores(path: Path) -> dict[str, Any]:
    """Mean J, F and T in per cent, and J of each sequence."""
    found = read_json(path)
    overall = found["overall"]
    means = {key: round(100 * overall[f"{key}-Mean"], 1) for key in "JFT" if overall.get(f"{key}-Mean") is not None}
    return {**means, "sequences": {name: round(100 * row["J-Mean"], 1) for name, row in found["sequences"].items()}}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """`methods`: J (F, T) without CRF and with it. `sequences`: J with CRF of each sequence. In per cent."""
    rows = result["rows"]
    methods = [[ROWS[name], figures(row["no_crf"]), figures(row["crf"])] for name, row in rows.items()]
    methods += [[f"{name}, published (J, val)", "", f"{value:.1f}"] for name, value in PUBLISHED.items()]

    sequences = next(iter(rows.values()))["crf"]["sequences"]
    each = [[name, *(f"{row['crf']['sequences'][name]:.1f}" for row in rows.values())] for name in sequences]
    return {
        "methods": table(["J (F, T)", "without CRF", "with CRF"], methods),
        "sequences": table(["J with CRF", *(ROWS[name] for name in rows)], each),
    }


def figures(row: Mapping[str, Any]) -> str:
    """J (F, T) of one row."""
    others = ", ".join(f"{row[key]:.1f}" for key in "FT" if key in row)
    return f"{row['J']:.1f} ({others})"
