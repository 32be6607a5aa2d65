"""The tables of `scripts/i2v_tables.sh`: the papers' rows with their published mIoU and one's own.

The JSON has what the script left in its working folder (RUN/seedN/run and
RUN/seedN/JUDGED/results.json) beside the figures of published.json, with mean and standard
deviation over seeds. Gains are over the row that the papers compare with. Gathering refuses seeds
of a row that were trained differently, and compared rows that differ in more than data and
adversary.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from densevos.base.errors import InputError
from experiments.i2v_runs import ADVERSARIAL, budget, check_alike, origin, spread, unique
from experiments.reports import read_json
from harness import table

# Keys are the first words of the names of runs.
NETWORKS = {
    "cnn": "CNN",
    "swin": "Swin",
    "fbms": "Swin",
    "videoswin": "VideoSwin",
}
PUBLISHED = Path(__file__).with_name("published.json")

DATA = ("labelled", "unlabelled", "sets.names")
BUDGETS = (
    "An epoch takes every labelled image once (without images every labelled frame), so rows with "
    "other labelled sets"
    " have other budgets; images: how many training took, each counted as often as it was taken."
)

Row = Mapping[str, Any]


def gather(folder: Path, *wanted: str) -> dict[str, Any]:
    """Join published and own scores of the wanted tables, all of them by default.

    Raises:
        InputError: there is no such table, or rows that it compares were trained differently.
    """
    published = read_json(PUBLISHED)["tables"]
    for name in wanted:
        if name not in published:
            known = ", ".join(published)
            raise InputError(f"{name}: is no table of {PUBLISHED.name}; it has {known}")

    result, runs = {}, []
    for name in wanted or published:
        rows = [with_scores(row, folder) for row in published[name]["rows"]]

        # Before anything is written: a table of unequal runs must not come about.
        check_budgets(rows, folder)
        result[name] = rows
        for row in rows:
            runs += runs_of(row, folder)

    # One run may be a row of several tables.
    return {"tables": result, **origin(dict.fromkeys(runs))}


def tables(result: Mapping[str, Any]) -> dict[str, str]:
    """Where the figures are from, a table by its name, and notes."""
    published = read_json(PUBLISHED)

    shown = {}
    for name, rows in result["tables"].items():
        shown[name] = f"**{name}**: {published['tables'][name]['title']}\n\n{markdown(rows)}"

    doubts = [f"* {doubt}" for doubt in published["doubts"]]
    notes = [BUDGETS, *weights(result["tables"].values()), "", *doubts]
    return {"source": published["source"], **shown, "notes": "\n".join(notes)}


def with_scores(row: Row, folder: Path) -> dict[str, Any]:
    """A published row with one's own scores by seed, in per cent, and the budget of the first."""
    files = sorted((folder / row["run"]).glob(f"seed*/{row['judged']}/results.json"))

    scores = {}
    for file in files:
        seed = file.parent.parent
        scores[seed.name] = score(file)

    # Seeds of a row have the same budget, which check_budgets makes sure of.
    first = budget(files[0].parent.parent / "run", folder) if files else None
    return {**row, "scores": scores, "budget": first}


def score(results: Path) -> float:
    """Mean IoU of a results.json in per cent: of its classes, or of the objects of its videos,
    J-Mean.
    """
    overall = read_json(results)["overall"]

    # Results of `--metric miou` have the one, those of DAVIS the other.
    return 100 * float(overall["mIoU"] if "mIoU" in overall else overall["J-Mean"])


def runs_of(row: Row, folder: Path) -> list[Path]:
    """The run folders whose scores a row has."""
    return [folder / row["run"] / seed / "run" for seed in row["scores"]]


def check_budgets(rows: Sequence[Row], folder: Path) -> None:
    """Check that what a table compares was trained alike.

    Raises:
        InputError: seeds of a row differ in an option, or compared rows in one that is neither of
            the data nor of the adversary.
    """
    # Seeds of one row must agree in all options; compared rows may differ in what they compare.
    for row in rows:
        ours = runs_of(row, folder)
        check_alike(ours)

        theirs = runs_of(compared(row, rows), folder)
        check_alike([*theirs, *ours], but=(*ADVERSARIAL, *DATA))


def compared(row: Row, rows: Sequence[Row]) -> Row:
    """The row that the papers compare this one with; one without numbers where there is none."""
    # Only scores on the same set can be subtracted.
    theirs = (row.get("against"), row["judged"])
    for other in rows:
        if (other["run"], other["judged"]) == theirs:
            return other

    return {"scores": {}}


def markdown(rows: Sequence[Row]) -> str:
    """The rows of one table, in per cent."""
    lines = []
    for row in rows:
        # The gain is over the compared row, of the published figures and of ours alike.
        other = compared(row, rows)
        published = numbers(_published(row), _published(other))
        ours = numbers(list(row["scores"].values()), list(other["scores"].values()))
        described = [row[key] for key in ("labelled", "unlabelled", "loss", "placement", "judged")]

        seeds = str(len(row["scores"]))
        training = "–"
        if row["budget"] is not None:
            training = f"{row['budget']['epochs']} ({row['budget']['samples']})"

        lines.append([network(row), *described, *published, *ours, seeds, training])

    names = ["network", "labelled", "unlabelled", "loss", "placement", "evaluated on"]
    names += ["published", "gain", "ours", "gain", "seeds", "epochs (images)"]
    return table(names, lines)


def _published(row: Row) -> list[float]:
    """The published figure of a row, if it has one."""
    return [row["miou"]] if "miou" in row else []


def numbers(values: Sequence[float], against: Sequence[float]) -> tuple[str, str]:
    """Mean and deviation of values, and the gain of their mean; – for what there is none of."""
    if not values:
        return "–", "–"

    gain = ""
    if against:
        gain = f"{statistics.mean(values) - statistics.mean(against):+.2f}"

    return spread(values), gain


def weights(tables: Iterable[Sequence[Row]]) -> Iterator[str]:
    """For each network, which weights its runs started from."""
    started = []
    for rows in tables:
        for row in rows:
            if row["budget"]:
                started.append((network(row), row["budget"]["began"]))

    for name, began in unique(started):
        yield f"{name} started from: {began}."


def network(row: Row) -> str:
    """The published name of a row's network."""
    return NETWORKS[row["run"].split("-")[0]]
