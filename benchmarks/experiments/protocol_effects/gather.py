"""The table of `scripts/protocol_effects.sh`: J and F of two encoders under every protocol, and what it changes."""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from densevos.engine.provenance import commit, processor
from densevos_eval.presets.describe import differences
from densevos_eval.presets.registry import PRESETS
from experiments.reports import read_json
from harness import table

ENCODERS = ("random", "trained")
BASE = "dul"


def gather(folder: Path) -> dict[str, Any]:
    """Scores of both encoders under every protocol that was run."""
    names = [name for name in PRESETS if (folder / ENCODERS[1] / name / "results.json").is_file()]
    rows = {name: {one: scores(folder / one / name / "results.json") for one in ENCODERS} for name in names}
    first = read_json(folder / ENCODERS[0] / names[0] / "results.json")
    return {
        "rows": rows,
        "sequences": list(first["sequences"]),
        "machine": {"processor": processor(), "threads": len(os.sched_getaffinity(0))},
        "commit": commit() or "unknown",
        "versions": {name: version(name) for name in ("torch", "numpy", "opencv-contrib-python-headless")},
    }


def scores(path: Path) -> dict[str, float]:
    """Means of J, F and J&F in per cent."""
    overall = read_json(path)["overall"]
    return {name: round(100 * overall[f"{name}-Mean"], 1) for name in ("J", "F", "J&F")}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """`scores`: J&F (J, F) of both encoders under every protocol. `switches`: what each changes against DUL's."""
    rows = result["rows"]
    scored = [[name, *(figures(row[one]) for one in ENCODERS), gain(row)] for name, row in rows.items()]
    changes = [[name, ", ".join(differences(PRESETS[name], PRESETS[BASE]))] for name in rows if name != BASE]
    return {
        "scores": table(["protocol", "random", "trained", "gain"], scored),
        "switches": table(["protocol", f"what differs from {BASE}"], changes),
    }


def figures(row: Mapping[str, float]) -> str:
    """J&F (J, F) of one result."""
    return f"{row['J&F']:.1f} ({row['J']:.1f}, {row['F']:.1f})"


def gain(row: Mapping[str, Mapping[str, float]]) -> str:
    """What training adds to J&F."""
    return f"{row['trained']['J&F'] - row['random']['J&F']:+.1f}"
