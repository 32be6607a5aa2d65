"""Scores as files and as a table on the screen."""

import csv
import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

import densevos
from densevos.files import write_json, written_whole
from densevos_eval.measures import Measured
from densevos_eval.score import COLUMNS, Scores, SequenceScores, summary


def write_scores(scores: Scores, folder: Path) -> None:
    """Write the two official CSV tables of the split, and results.json with everything, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    overall = {column: value for column, value in scores.overall.items() if column in COLUMNS}
    _write_csv(folder / f"global_results-{scores.split}.csv", list(overall), [overall.values()])
    rows = (row for sequence in scores.sequences for row in _object_rows(sequence))
    header = ["Sequence", *_means(overall)]
    _write_csv(folder / f"per-sequence_results-{scores.split}.csv", header, rows)
    write_json(folder / "results.json", as_json(scores))


def as_json(scores: Scores) -> dict[str, object]:
    """Everything at full precision: overall, per sequence, per object, per frame; null where there is no number."""
    return {
        "version": densevos.__version__,
        "dataset": scores.dataset,
        "split": scores.split,
        "overall": _numbers(scores.overall),
        "sequences": {sequence.name: _sequence_json(scores, sequence) for sequence in scores.sequences},
    }


def scores_table(scores: Scores) -> Table:
    """Table for the screen: overall first, then every sequence with the mean over its objects."""
    if scores.protocol.mean_over_classes:
        means, count = "classes", len({sequence.name.split("/")[0] for sequence in scores.sequences})
    else:
        means, count = "objects", sum(len(sequence.objects) for sequence in scores.sequences)
    table = Table(
        title=f"{scores.dataset} {scores.split}, mean over {means} ({count})", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("sequence", no_wrap=True)
    for column in scores.overall:
        table.add_column(column.replace("-", "\n"), justify="right")
    table.add_row("overall", *_decimals(scores.overall.values()), style="bold", end_section=True)
    for sequence in scores.sequences:
        row = scores.row([sequence])
        table.add_row(sequence.name, *_decimals(row.get(column, "") for column in scores.overall))
    return table


def write_measured(measured: Measured, folder: Path) -> None:
    """Write results.json of a benchmark without objects into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    everything = {
        "version": densevos.__version__,
        "dataset": measured.dataset,
        "split": measured.split,
        "overall": _numbers(measured.overall),
        "sequences": {name: _numbers(row) for name, row in measured.sequences.items()},
    }
    write_json(folder / "results.json", everything)


def measured_table(measured: Measured) -> Table:
    """Table for the screen: overall first, then every sequence."""
    table = Table(title=f"{measured.dataset} {measured.split}", box=box.SIMPLE_HEAD)
    table.add_column("sequence", no_wrap=True)
    for column in measured.overall:
        table.add_column(column, justify="right")
    table.add_row("overall", *_decimals(measured.overall.values()), style="bold", end_section=True)
    for name, row in measured.sequences.items():
        table.add_row(name, *_decimals(row.values()))
    return table


def _object_rows(sequence: SequenceScores) -> list[list[object]]:
    means = [(one.id, _means(summary([one]))) for one in sequence.objects]
    return [[f"{sequence.name}_{id}", *mean.values()] for id, mean in means]


def _means(row: dict[str, float]) -> dict[str, float]:
    """The columns of the official table of sequences."""
    return {column: row[column] for column in ("J-Mean", "F-Mean") if column in row}


def _sequence_json(scores: Scores, sequence: SequenceScores) -> dict[str, object]:
    everything: dict[str, object] = {**_numbers(scores.row([sequence])), "frames": list(sequence.frames)}
    if sequence.stability is not None:
        everything["T"] = _list(sequence.stability)
    objects = {}
    for one in sequence.objects:
        row = _numbers(summary([one], decay_uint8=scores.protocol.decay_uint8))
        curves = {letter: _list(v) for letter, v in (("J", one.region), ("F", one.contour)) if v is not None}
        objects[str(one.id)] = {**row, **curves}
    return {**everything, "objects": objects}


def _numbers(row: dict[str, float]) -> dict[str, float | None]:
    return {column: None if math.isnan(value) else value for column, value in row.items()}


def _list(values: np.ndarray) -> list[float | None]:
    return [None if math.isnan(value) else value for value in values.tolist()]


def _write_csv(path: Path, header: list[str], rows: Iterable[Iterable[object]]) -> None:
    with written_whole(path, "w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(_decimals(row) for row in rows)


def _decimals(values: Iterable[object]) -> list[str]:
    """Three decimals, as the official tool writes them."""
    return [f"{value:.3f}" if isinstance(value, float) else str(value) for value in values]
