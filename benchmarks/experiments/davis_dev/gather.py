"""The table of `scripts/davis_dev.sh`: random initialisation against trained, per sequence.

    python benchmarks/davis_dev.py runs/davis_dev

reads what the script left in its working folder and prints a Markdown table and, as the last line, one JSON object;
the JSON is also written to benchmarks/results/davis_dev.json.
"""

import json
import sys
from pathlib import Path
from typing import Any

from densevos.base.files import write_json

RESULT = Path(__file__).resolve().parent / "results" / "davis_dev.json"


def main(folder: Path) -> None:
    """Join scores, card and provenance of one working folder."""
    card = read(folder / "run" / "encoder.json")["training"]
    provenance = read(folder / "run" / "provenance.json")
    result = {
        **{name: scores(read(folder / name / "results.json")) for name in ("random_init", "trained")},
        "steps": card["steps"],
        "train_minutes": round(card["seconds"] / 60, 1),
        "videos": card["videos"],
        "machine": provenance["machine"],
        "versions": provenance["versions"],
        "commit": provenance["git_commit"],
        "config": card["config"],
    }
    write_json(RESULT, result)
    print(table(result["random_init"], result["trained"]))
    print(json.dumps(result))


def read(path: Path) -> Any:
    """One JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def scores(results: dict[str, Any]) -> dict[str, Any]:
    """J, F and J&F overall and per sequence."""
    return {**means(results["overall"]), "sequences": {n: means(s) for n, s in results["sequences"].items()}}


def means(row: dict[str, float]) -> dict[str, float]:
    """The three means of one row of results.json."""
    return {"J": row["J-Mean"], "F": row["F-Mean"], "J&F": row["J&F-Mean"]}


def table(before: dict[str, Any], after: dict[str, Any]) -> str:
    """Markdown, in percent."""
    lines = ["| sequence | J random | J trained | gain | F random | F trained | gain |", "|---" * 7 + "|"]
    rows = {**{n: (b, after["sequences"][n]) for n, b in before["sequences"].items()}, "**mean**": (before, after)}
    for name, (b, a) in rows.items():
        cells = [f"{100 * b[m]:.1f} | {100 * a[m]:.1f} | {100 * (a[m] - b[m]):+.1f}" for m in ("J", "F")]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
