"""Scores as files and as a table on the screen."""

import csv
from collections.abc import Iterable
from pathlib import Path

from rich import box
from rich.table import Table

import densevos
from densevos.files import write_json, written_whole
from densevos_eval.score import Scores, SequenceScores, summary


def write_scores(scores: Scores, folder: Path) -> None:
    """Write the two official CSV tables of the split, and results.json with everything, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    overall = scores.overall
    _write_csv(folder / f"global_results-{scores.split}.csv", list(overall), [overall.values()])
    rows = (row for sequence in scores.sequences for row in _object_rows(sequence))
    _write_csv(folder / f"per-sequence_results-{scores.split}.csv", ["Sequence", "J-Mean", "F-Mean"], rows)
    write_json(folder / "results.json", as_json(scores))


def as_json(scores: Scores) -> dict[str, object]:
    """Everything at full precision: overall, per sequence, per object, per frame."""
    return {
        "version": densevos.__version__,
        "dataset": scores.dataset,
        "split": scores.split,
        "overall": scores.overall,
        "sequences": {sequence.name: _sequence_json(sequence) for sequence in scores.sequences},
    }


def scores_table(scores: Scores) -> Table:
    """Table for the screen: overall first, then every sequence with the mean over its objects."""
    count = sum(len(sequence.objects) for sequence in scores.sequences)
    table = Table(title=f"{scores.dataset} {scores.split}, mean over objects ({count})", box=box.SIMPLE_HEAD)
    table.add_column("sequence", no_wrap=True)
    for column in scores.overall:
        table.add_column(column.replace("-", "\n"), justify="right")
    table.add_row("overall", *_decimals(scores.overall.values()), style="bold", end_section=True)
    for sequence in scores.sequences:
        table.add_row(sequence.name, *_decimals(summary(sequence.objects).values()))
    return table


def _object_rows(sequence: SequenceScores) -> list[list[object]]:
    means = [(one.id, summary([one])) for one in sequence.objects]
    return [[f"{sequence.name}_{id}", mean["J-Mean"], mean["F-Mean"]] for id, mean in means]


def _sequence_json(sequence: SequenceScores) -> dict[str, object]:
    objects = {
        str(one.id): {**summary([one]), "J": one.region.tolist(), "F": one.contour.tolist()} for one in sequence.objects
    }
    return {**summary(sequence.objects), "frames": list(sequence.frames), "objects": objects}


def _write_csv(path: Path, header: list[str], rows: Iterable[Iterable[object]]) -> None:
    with written_whole(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(_decimals(row) for row in rows)


def _decimals(values: Iterable[object]) -> list[str]:
    """Three decimals, as the official tool writes them."""
    return [f"{value:.3f}" if isinstance(value, float) else str(value) for value in values]
