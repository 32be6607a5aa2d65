"""The tables of `scripts/zero_shot_dev.sh`: each method with and without CRF, and by sequence."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from experiments.reports import read_json
from harness import table

ROWS = {
    "motion": "motion",
    "consensus": "consensus",
    "consensus_encoder": "consensus, votes between features of an encoder",
}
PUBLISHED = {"FST": 55.8, "NLC": 55.1, "MuG, round 2": 58.0}
"""J on all of DAVIS-2016 val, as the papers print it: two without learning, one without labels."""
LIBRARIES = ("torch", "numpy", "scikit-image", "opencv-contrib-python-headless")


def gather(folder: Path) -> dict[str, Any]:
    """Scores of all methods that were run."""
    from densevos.engine.provenance import commit, processor  # Imports torch; tables do without.

    # A method that was not run, as the one with an encoder, has no row.
    rows = {}
    for name in ROWS:
        if (folder / name / "results.json").is_file():
            rows[name] = {
                "crf": scores(folder / name / "results.json"),
                "no_crf": scores(folder / name / "no-crf" / "results.json"),
            }

    return {
        "rows": rows,
        "machine": {"processor": processor(), "threads": len(os.sched_getaffinity(0))},
        "commit": commit() or "unknown",
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Versions of the libraries that decide the result."""
    return {name: version(name) for name in LIBRARIES}


def scores(path: Path) -> dict[str, Any]:
    """Mean J, F and T (where a sequence has one) in per cent, and J of each sequence."""
    results = read_json(path)

    means = {}
    for measure in "JFT":
        mean = results["overall"].get(f"{measure}-Mean")
        if mean is not None:
            means[measure] = round(100 * mean, 1)

    sequences = {name: round(100 * row["J-Mean"], 1) for name, row in results["sequences"].items()}
    return {**means, "sequences": sequences}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """The tables of what was run, in per cent.

    `methods` has J (F, T) without and with the CRF, beside published figures. `sequences` has J
    with the CRF of each sequence.
    """
    return {"methods": _methods(result["rows"]), "sequences": _sequences(result["rows"])}


def _methods(rows: Mapping[str, Any]) -> str:
    """One line for each method, and one for each published figure."""
    lines = []
    for name, row in rows.items():
        lines.append([ROWS[name], figures(row["no_crf"]), figures(row["crf"])])

    for name, published in PUBLISHED.items():
        lines.append([f"{name}, published (J, val)", "", f"{published:.1f}"])

    return table(["J (F, T)", "without CRF", "with CRF"], lines)


def _sequences(rows: Mapping[str, Any]) -> str:
    """One line for each sequence, one column for each method."""
    by_method = [row["crf"]["sequences"] for row in rows.values()]
    header = ["J with CRF", *map(ROWS.__getitem__, rows)]

    lines = []
    for sequence in by_method[0]:
        line = [sequence]
        for scores_ in by_method:
            line.append(f"{scores_[sequence]:.1f}")

        lines.append(line)

    return table(header, lines)


def figures(row: Mapping[str, Any]) -> str:
    """J (F, T) of one row."""
    others = ", ".join(f"{row[key]:.1f}" for key in "FT" if key in row)
    return f"{row['J']:.1f} ({others})"
