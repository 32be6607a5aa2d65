"""Scores as files and as a table on the screen."""

import csv
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from rich import box
from rich.table import Table

import densevos
from densevos.base.files import write_json, written_whole
from densevos_eval.scoring.judging import Judged
from densevos_eval.scoring.measures import Measured
from densevos_eval.scoring.score import COLUMNS, Scores, SequenceScores, summary


def write_results(results: Scores | Measured, folder: Path) -> None:
    """Write the tables and results.json into `folder`; see write_scores and write_measured."""
    if isinstance(results, Scores):
        write_scores(results, folder)
    else:
        write_measured(results, folder)


def results_table(results: Scores | Measured) -> Table:
    """Table for the screen."""
    return scores_table(results) if isinstance(results, Scores) else measured_table(results)


def write_scores(scores: Scores, folder: Path) -> None:
    """Write the two official CSV tables of the split, and results.json with everything, into `folder`.

    The official tables cannot say that sequences are broken, so then there are none.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", as_json(scores, folder))
    whole, each = (folder / f"{name}_results-{scores.split}.csv" for name in ("global", "per-sequence"))
    if scores.broken:
        whole.unlink(missing_ok=True)
        each.unlink(missing_ok=True)
        return
    overall = {column: value for column, value in scores.overall.items() if column in COLUMNS}
    _write_csv(whole, list(overall), [overall.values()])
    rows = (row for sequence in scores.sequences for row in _object_rows(sequence))
    _write_csv(each, ["Sequence", *_means(overall)], rows)


def as_json(scores: Scores, folder: Path | None = None) -> dict[str, object]:
    """Everything at full precision: overall, per sequence, per object, per frame; null where there is no number.

    folder: where it will lie, for the way from there to the masks.
    """
    return {
        "version": densevos.__version__,
        "dataset": scores.dataset,
        "split": scores.split,
        **_broken(scores.broken),
        "overall": _numbers(scores.overall),
        "sequences": {sequence.name: _sequence_json(scores, sequence, folder) for sequence in scores.sequences},
    }


def scores_table(scores: Scores) -> Table:
    """Table for the screen: overall first, then every sequence with the mean over its objects."""
    if scores.protocol.mean_over_classes:
        means, count = "classes", len({sequence.name.split("/")[0] for sequence in scores.sequences})
    else:
        means, count = "objects", sum(len(sequence.objects) for sequence in scores.sequences)
    table = Table(
        title=f"{scores.dataset} {scores.split}, mean over {means} ({count}){without(scores.broken)}",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
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
    write_json(folder / "results.json", measured_json(measured, folder))


def measured_json(measured: Measured, folder: Path) -> dict[str, object]:
    """Everything at full precision: overall and of every sequence; null where there is no number.

    folder: where it will lie, for the way from there to the masks.
    """
    return {
        "version": densevos.__version__,
        "dataset": measured.dataset,
        "split": measured.split,
        **_broken(measured.broken),
        "overall": _numbers(measured.overall),
        "sequences": {
            name: {
                **_numbers(row),
                "frames": list(measured.frames.get(name, ())),
                **_origin(measured.judged.get(name), folder),
            }
            for name, row in measured.sequences.items()
        },
    }


def measured_table(measured: Measured) -> Table:
    """Table for the screen: overall first, then every sequence."""
    table = Table(title=f"{measured.dataset} {measured.split}{without(measured.broken)}", box=box.SIMPLE_HEAD)
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


def _sequence_json(scores: Scores, sequence: SequenceScores, folder: Path | None) -> dict[str, object]:
    everything: dict[str, object] = {
        **_numbers(scores.row([sequence])),
        "frames": list(sequence.frames),
        **_origin(scores.judged.get(sequence.name), folder),
    }
    if sequence.stability is not None:
        everything["T"] = _list(sequence.stability)
    objects = {}
    for one in sequence.objects:
        row = _numbers(summary([one], decay_uint8=scores.protocol.decay_uint8))
        curves = {letter: _list(v) for letter, v in (("J", one.region), ("F", one.contour)) if v is not None}
        objects[str(one.id)] = {**row, **curves}
    return {**everything, "objects": objects}


def _origin(judged: Judged | None, folder: Path | None) -> dict[str, object]:
    """Fingerprints of masks and annotations, and the way from `folder` to the masks if they are not in it."""
    if judged is None:
        return {}
    way = os.path.relpath(judged.folder.resolve(), folder.resolve()) if folder else "."
    hashes = {"masks": judged.masks, "annotations": judged.annotations}
    return {"sha256": hashes} if way == "." else {"masks": way, "sha256": hashes}


def _broken(broken: Mapping[str, str]) -> dict[str, object]:
    """Said first of all, since what follows is then not the whole split's."""
    return {"broken": dict(broken)} if broken else {}


def without(broken: Mapping[str, str]) -> str:
    """What a title adds where it is not of the whole split."""
    return f", WITHOUT {len(broken)} that are broken" if broken else ""


def _numbers(row: Mapping[str, float]) -> dict[str, float | None]:
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
