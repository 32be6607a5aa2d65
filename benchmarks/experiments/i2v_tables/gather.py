"""The tables of `scripts/i2v_tables.sh`: the papers' rows with their published mIoU and one's own.

Gathered is what the script left in its working folder, RUN/seedN/run and RUN/seedN/JUDGED/results.json, with the
figures of published.json beside (mean and standard deviation over seeds; gains are over the row that the papers compare
with). Seeds of a row that were not trained alike are refused, and rows compared with each other that differ in more
than data and adversary.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from experiments.i2v_runs import ADVERSARIAL, budget, check_alike, origin, spread, unique
from experiments.reports import read_json
from harness import table

NETWORKS = {"cnn": "CNN", "swin": "Swin", "fbms": "Swin", "videoswin": "VideoSwin"}  # by how names of runs begin
PUBLISHED = Path(__file__).with_name("published.json")

DATA = ("labelled", "unlabelled", "sets.names")
BUDGETS = (
    "An epoch takes every labelled image once (without images every labelled frame), so rows with other labelled sets"
    " have other budgets; images: how many training took, each counted as often as it was taken."
)

Row = Mapping[str, Any]


def gather(folder: Path, *wanted: str) -> dict[str, Any]:
    """Join published and own scores of the wanted tables, all of them by default.

    Raises:
        InputError: there is no such table, or rows that it compares were trained differently.
    """
    published = read_json(PUBLISHED)
    for name in wanted:
        if name not in published["tables"]:
            raise InputError(f"{name}: is no table of {PUBLISHED.name}; it has {', '.join(published['tables'])}")
    tables = {name: published["tables"][name] for name in wanted or published["tables"]}
    result = {name: [with_scores(row, folder) for row in table["rows"]] for name, table in tables.items()}
    for rows in result.values():
        check_budgets(rows, folder)
    runs = dict.fromkeys(run for rows in result.values() for row in rows for run in runs_of(row, folder))
    return {"tables": result, **origin(runs)}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """Where the figures are from, a table by its name, and notes."""
    published = read_json(PUBLISHED)
    shown = {
        name: f"**{name}**: {published['tables'][name]['title']}\n\n{markdown(rows)}"
        for name, rows in result["tables"].items()
    }
    notes = [BUDGETS, *weights(result["tables"].values()), "", *(f"* {doubt}" for doubt in published["doubts"])]
    return {"source": published["source"], **shown, "notes": "\n".join(notes)}


def with_scores(row: Row, folder: Path) -> dict[str, Any]:
    """A published row, `scores`: one's own, in per cent, by seed; and the budget of the first."""
    files = sorted((folder / row["run"]).glob(f"seed*/{row['judged']}/results.json"))
    scores = {file.parent.parent.name: score(file) for file in files}
    return {**row, "scores": scores, "budget": budget(files[0].parent.parent / "run") if files else None}


def score(results: Path) -> float:
    """Mean IoU of a results.json in per cent: of its classes, or of the objects of its videos, J-Mean."""
    overall = read_json(results)["overall"]
    return 100 * float(overall["mIoU"] if "mIoU" in overall else overall["J-Mean"])


def runs_of(row: Row, folder: Path) -> list[Path]:
    """The run folders whose scores a row has."""
    return [folder / row["run"] / seed / "run" for seed in row["scores"]]


def check_budgets(rows: Sequence[Row], folder: Path) -> None:
    """Raise InputError unless seeds differ in nothing, and rows that are compared in data and adversary alone."""
    for row in rows:
        ours = runs_of(row, folder)
        check_alike(ours)
        check_alike([*runs_of(compared(row, rows), folder), *ours], but=(*ADVERSARIAL, *DATA))


def compared(row: Row, rows: Sequence[Row]) -> Row:
    """The row that the papers compare this one with; one without numbers where there is none."""
    theirs = (row.get("against"), row["judged"])
    return next((other for other in rows if (other["run"], other["judged"]) == theirs), {"scores": {}})


def markdown(rows: Sequence[Row]) -> str:
    """The rows of one table, in per cent."""
    names = ["network", "labelled", "unlabelled", "loss", "placement", "judged on", "published", "gain"]
    names += ["ours", "gain", "seeds", "epochs (images)"]
    lines = []
    for row in rows:
        other = compared(row, rows)
        ours, theirs = (list(one["scores"].values()) for one in (row, other))
        cells = [
            network(row),
            *(row[key] for key in ("labelled", "unlabelled", "loss", "placement", "judged")),
            *numbers([row["miou"]] if "miou" in row else [], [other["miou"]] if "miou" in other else []),
            *numbers(ours, theirs),
            str(len(ours)),
            "–" if row["budget"] is None else f"{row['budget']['epochs']} ({row['budget']['samples']})",
        ]
        lines.append(cells)
    return table(names, lines)


def numbers(values: Sequence[float], against: Sequence[float]) -> tuple[str, str]:
    """Mean and deviation of values, and the gain of their mean; – for what there is none of."""
    if not values:
        return "–", "–"
    return spread(values), f"{statistics.mean(values) - statistics.mean(against):+.2f}" if against else ""


def weights(tables: Iterable[Sequence[Row]]) -> Iterator[str]:
    """For each network what its runs began with, as published or not."""
    done = [row for rows in tables for row in rows if row["budget"]]
    for name, began in unique((network(row), row["budget"]["began"]) for row in done):
        yield f"{name} began with: {began}."


def network(row: Row) -> str:
    """The published name of a row's network."""
    return NETWORKS[row["run"].split("-")[0]]
