"""The tables of `scripts/protocol_effects.sh`: two encoders under every protocol.

One table has J and F, the other what each protocol changes.
"""

import os
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from densevos_eval.presets.describe import differences
from densevos_eval.presets.registry import PRESETS
from experiments.reports import read_json
from harness import table

ENCODERS = ("random", "trained")
MEASURES = ("J", "F", "J&F")
LIBRARIES = ("torch", "numpy", "opencv-contrib-python-headless")
BASE = "dul"
"""The protocol that all others are compared with."""


def gather(folder: Path) -> dict[str, Any]:
    """Scores of both encoders under every protocol that was run."""
    from densevos.engine.provenance import commit, processor  # Imports torch; tables do without.

    rows: dict[str, dict[str, dict[str, float]]] = {}
    for name in PRESETS:
        # The trained encoder is scored last, so its results say that a protocol is done.
        if (folder / "trained" / name / "results.json").is_file():
            rows[name] = {}
            for encoder in ENCODERS:
                rows[name][encoder] = scores(folder / encoder / name / "results.json")

    # Every protocol is scored on the same sequences, so the first one names them.
    first = read_json(folder / ENCODERS[0] / next(iter(rows)) / "results.json")
    return {
        "rows": rows,
        "sequences": list(first["sequences"]),
        "machine": {"processor": processor(), "threads": len(os.sched_getaffinity(0))},
        "commit": commit() or "unknown",
        "versions": {name: version(name) for name in LIBRARIES},
    }


def scores(path: Path) -> dict[str, float]:
    """Means of J, F and J&F in per cent."""
    overall = read_json(path)["overall"]
    return {name: round(100 * overall[f"{name}-Mean"], 1) for name in MEASURES}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """The tables of what was run.

    `scores` has J&F (J, F) of both encoders under every protocol. `switches` has the options in
    which each protocol differs from DUL's.
    """
    scored, changed = [], []
    for name, row in result["rows"].items():
        scored.append([name, figures(row["random"]), figures(row["trained"]), gain(row)])
        if name != BASE:
            changed.append([name, ", ".join(differences(PRESETS[name], PRESETS[BASE]))])

    return {
        "scores": table(["protocol", "random", "trained", "gain"], scored),
        "switches": table(["protocol", f"what differs from {BASE}"], changed),
    }


def figures(row: Mapping[str, float]) -> str:
    """J&F (J, F) of one result."""
    return f"{row['J&F']:.1f} ({row['J']:.1f}, {row['F']:.1f})"


def gain(row: Mapping[str, Mapping[str, float]]) -> str:
    """What training adds to J&F."""
    return f"{row['trained']['J&F'] - row['random']['J&F']:+.1f}"
