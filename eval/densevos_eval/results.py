"""results.json read back: the numbers of one scored folder of masks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from densevos.errors import InputError

FILE = "results.json"


@dataclass(frozen=True, kw_only=True)
class SequenceResult:
    """One sequence: its row of the table, and J and F [frames] of every object; NaN where there is no number.

    frames: names of the frames that count; empty, as `objects`, for benchmarks without objects.
    objects: id -> {"J": [frames], "F": [frames]}; no F where the benchmark has none.
    """

    row: Mapping[str, float]
    frames: tuple[str, ...] = ()
    objects: Mapping[str, Mapping[str, np.ndarray]]


@dataclass(frozen=True, kw_only=True)
class Results:
    """Scores of a whole split under a title; numbers are shares, 0 to 1."""

    title: str
    folder: Path
    dataset: str
    split: str
    overall: Mapping[str, float]
    sequences: Mapping[str, SequenceResult]

    @property
    def columns(self) -> list[str]:
        """The columns worth a place in a narrow table: the means, or all where none is called so."""
        return [column for column in self.overall if column.endswith("-Mean")] or list(self.overall)

    @property
    def headline(self) -> str:
        """The column that results are ranked by."""
        return self.columns[0]


def read_results(folder: Path, title: str | None = None) -> Results:
    """The results.json in `folder`, under the folder's name if no title is given.

    Raises InputError when it is missing or is not what densevos-eval score writes.
    """
    path = folder / FILE
    try:
        everything = json.loads(path.read_text(encoding="utf-8"))
        return Results(
            title=title or folder.resolve().name,
            folder=folder,
            dataset=everything["dataset"],
            split=everything["split"],
            overall=_row(everything["overall"]),
            sequences={name: _sequence(one) for name, one in everything["sequences"].items()},
        )
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{path}: is missing; write it with densevos-eval score --results {folder}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is not what densevos-eval score writes ({error!r}); score again") from error


def read_all(folders: Iterable[Path]) -> list[Results]:
    """The results of several folders, titled by as much of their paths as tells them apart; see check_same."""
    folders = list(folders)
    if not folders:
        raise InputError(f"RESULTS: no folder is named; name one or more that hold {FILE}")
    every = [read_results(folder, title) for folder, title in zip(folders, titles(folders), strict=True)]
    for other in every[1:]:
        check_same(every[0], other)
    return every


def titles(folders: list[Path]) -> list[str]:
    """The shortest ends of the paths that are all different.

    Raises InputError when a folder is named twice.
    """
    parts = [folder.resolve().parts for folder in folders]
    for path, folder in zip(parts, folders, strict=True):
        if parts.count(path) > 1:
            raise InputError(f"{folder}: is named twice; name each result once")
    for length in range(1, max(map(len, parts)) + 1):
        ends = ["/".join(path[-length:]) for path in parts]
        if len(set(ends)) == len(ends):
            break
    return ends


def check_same(first: Results, other: Results) -> None:
    """Raise InputError unless both are of the same benchmark, sequences, and frames of them."""
    pair = f"{other.folder}: cannot be compared with {first.folder}"
    if (first.dataset, first.split) != (other.dataset, other.split):
        raise InputError(
            f"{pair}: {other.dataset} {other.split} against {first.dataset} {first.split}; score both alike"
        )
    for name in sorted(first.sequences.keys() ^ other.sequences.keys()):
        lacking = other if name in first.sequences else first
        raise InputError(f"{pair}: sequence {name} is not in {lacking.folder / FILE}; score both on the same sequences")
    for name, one in first.sequences.items():
        if one.frames != other.sequences[name].frames:
            raise InputError(f"{pair}: {name} is scored in other frames; score both alike")


def lower_is_better(column: str) -> bool:
    """Whether a small number is a good one: decay, and temporal (in)stability T."""
    return column.endswith("-Decay") or column.startswith("T-")


def _sequence(one: Mapping[str, Any]) -> SequenceResult:
    objects = {
        id: {letter: np.array(curves[letter], dtype=float) for letter in "JF" if letter in curves}
        for id, curves in one.get("objects", {}).items()
    }
    numbers = {column: value for column, value in one.items() if isinstance(value, float | int | None)}
    return SequenceResult(row=_row(numbers), frames=tuple(one.get("frames", ())), objects=objects)


def _row(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {column: float("nan") if value is None else float(value) for column, value in numbers.items()}
