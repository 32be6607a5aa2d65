"""results.json read back: the numbers of one scored folder of masks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.runs.fingerprint import masks_fingerprint, truth_fingerprint
from densevos_eval.sequences.sequence import VideoSequence

FILE = "results.json"


@dataclass(frozen=True, kw_only=True)
class SequenceResult:
    """One sequence: its row of the table, and J and F [frames] of every object; NaN where there is
    no number.

    frames: names of the frames that count; empty, as `objects`, for benchmarks without objects.
    objects: id -> {"J": [frames], "F": [frames]}; no F where the benchmark has none.
    masks: the folder that holds that of the sequence's masks, or joints.
    sha256: fingerprints of the "masks" and "annotations" that the numbers come from.
    """

    row: Mapping[str, float]
    frames: tuple[str, ...] = ()
    objects: Mapping[str, Mapping[str, np.ndarray]]
    masks: Path = Path()
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Results:
    """Scores of a whole split under a title; numbers are shares, 0 to 1.

    metric: name of the metric; None for the one that the benchmark asks for.
    classes: IoU by name of the class, NaN for those without annotation; empty for what is not
    scored by classes. annotation_size: HEIGHTxWIDTH that annotations were resized to; None for
    their own size. made_with: encoder and settings that made the masks, empty where they are not
    known.
    """

    title: str
    folder: Path
    dataset: str
    split: str
    overall: Mapping[str, float]
    sequences: Mapping[str, SequenceResult]
    metric: str | None = None
    classes: Mapping[str, float] = field(default_factory=dict)
    annotation_size: str | None = None
    made_with: Mapping[str, Any] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """The columns worth a place in a narrow table: the means, or all where none is called
        so.
        """
        return [column for column in self.overall if column.endswith("-Mean")] or list(self.overall)

    @property
    def headline(self) -> str:
        """The column that results are ranked by."""
        return self.columns[0]


def read_results(folder: Path, title: str | None = None) -> Results:
    """The results.json in `folder`, under the folder's name if no title is given.

    Raises InputError when it is missing, is not what densevos-eval score writes, or lacks sequences
    that were broken.
    """
    path = folder / FILE
    try:
        everything = json.loads(path.read_text(encoding="utf-8"))
        for name, reason in everything.get("broken", {}).items():
            raise InputError(
                f"{path}: is not of the whole split, {name} is broken ({reason}); fix it and score again"
            )

        return Results(
            title=title or folder.resolve().name,
            folder=folder,
            dataset=everything["dataset"],
            split=everything["split"],
            overall=_row(everything["overall"]),
            sequences={
                name: _sequence(one, folder) for name, one in everything["sequences"].items()
            },
            metric=everything.get("metric"),
            classes=_row({name: one["IoU"] for name, one in everything.get("classes", {}).items()}),
            annotation_size=everything.get("annotation_size"),
            made_with=dict(everything.get("made_with", {})),
        )
    except NotADirectoryError:
        raise InputError(
            f"{folder}: is a file, not a folder of results; unpack it if it is an archive"
        ) from None
    except FileNotFoundError:
        raise InputError(
            f"{path}: is missing; write it with densevos-eval score --results {folder}"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: is not what densevos-eval score writes ({error!r}); score again"
        ) from error


def read_all(folders: Iterable[Path]) -> list[Results]:
    """The results of several folders, titled by as much of their paths as tells them apart.

    Raises InputError when they are not of the same benchmark, or of other masks; see check_same and
    check_fresh.
    """
    folders = list(folders)
    if not folders:
        raise InputError(f"RESULTS: no folder is named; name one or more that hold {FILE}")

    every = [
        read_results(folder, title) for folder, title in zip(folders, titles(folders), strict=True)
    ]
    for one in every:
        check_same(every[0], one)
        check_fresh(one)

    return every


def check_fresh(results: Results, sequences: Iterable[VideoSequence] = ()) -> None:
    """Raise InputError unless masks and annotations are still those that were scored.

    Masks that are no longer there are not looked at.
    Annotations are those of `sequences`.
    """
    path = results.folder / FILE
    for name, one in results.sequences.items():
        folder = one.masks / name
        if folder.is_dir() and masks_fingerprint(folder, one.frames) != one.sha256.get("masks"):
            raise InputError(
                f"{path}: is of other masks of {name} than {folder} holds now; score again"
            )

    for sequence in sequences:
        known = results.sequences[sequence.name].sha256.get("annotations")
        if truth_fingerprint(sequence) != known:
            raise InputError(
                f"{path}: is of other annotations of {sequence.name} than there are now; score again"
            )


def titled_folders(pairs: Iterable[str]) -> dict[str, Path]:
    """Title -> folder of masks, from TITLE=FOLDER each; InputError for anything else, and for a
    missing folder.
    """
    folders = {}
    for pair in pairs:
        title, equals, folder = pair.partition("=")
        if not (title and equals and folder):
            raise InputError(f"--results {pair}: must be TITLE=FOLDER, such as trained=out/trained")
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder of results (--results {pair})")

        folders[title] = Path(folder)

    return folders


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

    if first.metric != other.metric:
        metrics = [one.metric or "the benchmark's own" for one in (other, first)]
        raise InputError(
            f"{pair}: its metric is {metrics[0]}, there {metrics[1]}; score both alike"
        )

    if first.classes.keys() != other.classes.keys():
        told = [", ".join(one.classes) or "none" for one in (other, first)]
        raise InputError(f"{pair}: its classes are {told[0]}, there {told[1]}; score both alike")

    for name in sorted(first.sequences.keys() ^ other.sequences.keys()):
        lacking = other if name in first.sequences else first
        raise InputError(
            f"{pair}: sequence {name} is not in {lacking.folder / FILE}; score both on the same sequences"
        )

    for name, one in first.sequences.items():
        if one.frames != other.sequences[name].frames:
            raise InputError(f"{pair}: {name} is scored in other frames; score both alike")
        if one.sha256.get("annotations") != other.sequences[name].sha256.get("annotations"):
            raise InputError(
                f"{pair}: {name} is scored against other annotations; score both against the same"
            )


def lower_is_better(column: str) -> bool:
    """Whether a small number is a good one: decay, temporal (in)stability T, and variation V over
    time.
    """
    return column.endswith("-Decay") or column.startswith(("T-", "V-"))


def _sequence(one: Mapping[str, Any], folder: Path) -> SequenceResult:
    objects = {
        id: {letter: np.array(curves[letter], dtype=float) for letter in "JF" if letter in curves}
        for id, curves in one.get("objects", {}).items()
    }
    numbers = {
        column: value for column, value in one.items() if isinstance(value, float | int | None)
    }

    return SequenceResult(
        row=_row(numbers),
        frames=tuple(one.get("frames", ())),
        objects=objects,
        masks=folder / one.get("masks", "."),
        sha256=dict(one.get("sha256", {})),
    )


def _row(numbers: Mapping[str, float | None]) -> dict[str, float]:
    return {
        column: float("nan") if value is None else float(value) for column, value in numbers.items()
    }
