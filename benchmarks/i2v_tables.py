"""The tables of `scripts/i2v_tables.sh`: the papers' rows with their published mIoU and one's own.

    python benchmarks/i2v_tables.py runs/i2v_tables [TABLE ...]

reads what the script left in its working folder, RUN/seedN/JUDGED/results.json, and prints Markdown tables with the
figures of benchmarks/i2v_published.json beside (mean and standard deviation over seeds; gains are over the row that the
papers compare with) and, as the last line, one JSON object; the JSON is also written to OUT/i2v_tables.json.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from densevos.files import write_json

NETWORKS = {"cnn": "CNN", "swin": "Swin", "fbms": "Swin", "videoswin": "VideoSwin"}  # by how names of runs begin
PUBLISHED = Path(__file__).with_name("i2v_published.json")


def main(folder: Path, wanted: Sequence[str]) -> None:
    """Print the wanted tables, all of them by default."""
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))
    tables = {name: published["tables"][name] for name in wanted or published["tables"]}
    result = {name: [with_scores(row, folder) for row in table["rows"]] for name, table in tables.items()}
    print(published["source"])
    for name, rows in result.items():
        print(f"\n**{name}**: {tables[name]['title']}\n\n{markdown(rows)}")
    print("", *(f"* {doubt}" for doubt in published["doubts"]), sep="\n")
    write_json(folder / "i2v_tables.json", result)
    print(json.dumps(result))


def with_scores(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """A published row and `scores`: one's own mIoU in per cent, by seed."""
    files = sorted((folder / row["run"]).glob(f"seed*/{row['judged']}/results.json"))
    return {**row, "scores": {file.parent.parent.name: miou(file) for file in files}}


def miou(results: Path) -> float:
    """Mean IoU of a results.json, per cent."""
    return 100 * float(json.loads(results.read_text(encoding="utf-8"))["overall"]["mIoU"])


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of one table, in per cent."""
    lines = [
        "| network | labelled | unlabelled | loss | placement | judged on | published | gain | ours | gain | seeds |",
        "|---" * 11 + "|",
    ]
    by_run = {(row["run"], row["judged"]): row for row in rows}
    for row in rows:
        other = by_run.get((row.get("against", ""), row["judged"]), {})
        ours, theirs = (list(r.get("scores", {}).values()) for r in (row, other))
        cells = [
            NETWORKS[row["run"].split("-")[0]],
            *(row[key] for key in ("labelled", "unlabelled", "loss", "placement", "judged")),
            *numbers([row["miou"]] if "miou" in row else [], [other["miou"]] if "miou" in other else []),
            *numbers(ours, theirs),
            str(len(ours)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def numbers(values: Sequence[float], against: Sequence[float]) -> tuple[str, str]:
    """Mean and deviation of values, and the gain of their mean; – for what there is none of."""
    if not values:
        return "–", "–"
    mean = statistics.mean(values)
    deviation = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean:.2f}{deviation}", f"{mean - statistics.mean(against):+.2f}" if against else ""


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
