"""results.json read back: the numbers of one scored folder of masks."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos_eval.metrics.metric import Scores
from densevos_eval.runs.fingerprint import masks_fingerprint, truth_fingerprint
from densevos_eval.scoring.results import results_json
from densevos_eval.sequences.sequence import VideoSequence

FILE = "results.json"


@dataclass(frozen=True, kw_only=True)
class SequenceResult:
    """Scores of one sequence: its row of the table, and J and F of every object in every frame.

    row: Column -> number; NaN if there is none.
    frames: Names of the frames that count; empty for benchmarks without objects.
    objects: Id -> {"J": [frames], "F": [frames]}, NaN in frames where an object does not count;
        without F if the benchmark has none, and empty for benchmarks without objects.
    masks: The folder that contains the sequence's own folder of masks, or of joints.
    sha256: Fingerprints of the "masks" and "annotations" that the numbers come from.
    """

    row: Mapping[str, float]
    frames: tuple[str, ...] = ()
    objects: Mapping[str, Mapping[str, np.ndarray]]
    masks: Path = Path()
    sha256: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Results:
    """Scores of a complete split under a title; numbers are shares, 0 to 1.

    metric: Name of the metric; None for the benchmark's own.
    classes: Name of each class -> IoU, NaN for classes without annotation; empty if classes are
        not scored.
    annotation_size: HEIGHTxWIDTH that annotations were resized to; None for their own size.
    made_with: Encoder and settings that made the masks; empty if they are not known.
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
        """Columns of a narrow table: those named NAME-Mean, or all if there are none."""
        # Benchmarks whose columns have other names show all of them.
        means = [column for column in self.overall if column.endswith("-Mean")]
        return means or list(self.overall)

    @property
    def headline(self) -> str:
        """The column that results are ranked by."""
        return self.columns[0]


def read_results(folder: Path, title: str | None = None) -> Results:
    """Read the results.json of a folder.

    Args:
        folder: A folder of masks that was scored.
        title: Title of the results; None for the folder's name.

    Raises:
        InputError: The file is missing, was not written by densevos-eval score, or lacks sequences
            that failed.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        for name, reason in content.get("broken", {}).items():
            raise InputError(
                f"{path}: is not of the whole split, {name} is broken ({reason});"
                " fix it and score again"
            )

        return _parsed(content, folder, title or folder.resolve().name)
    # Each kind of failure has a message that tells how to mend it.
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


def _parsed(content: Mapping[str, Any], folder: Path, title: str) -> Results:
    """The content of a results.json, checked by its use: wrong content raises KeyError and such."""
    dataset, split, overall = content["dataset"], content["split"], _row(content["overall"])

    sequences = {}
    for name, sequence in content["sequences"].items():
        sequences[name] = _sequence(sequence, folder)

    # Of the numbers of a class only its IoU is shown and compared.
    classes = {}
    for name, numbers in content.get("classes", {}).items():
        classes[name] = numbers["IoU"]

    return Results(
        title=title,
        folder=folder,
        dataset=dataset,
        split=split,
        overall=overall,
        sequences=sequences,
        metric=content.get("metric"),
        classes=_row(classes),
        annotation_size=content.get("annotation_size"),
        made_with=dict(content.get("made_with", {})),
    )


def results_of_scores(scores: Scores, title: str) -> Results:
    """Scores in memory as results, without masks or annotations that could be checked."""
    return _parsed(results_json(scores), Path(), title)


def read_all(folders: Iterable[Path]) -> list[Results]:
    """Read the results of several folders, each titled by the shortest unique end of its path.

    Raises:
        InputError: No folder is given, the results are from different benchmarks, or their masks
            have changed; see `check_same` and `check_fresh`.
    """
    folders = list(folders)
    if not folders:
        raise InputError(f"RESULTS: no folder is named; name one or more that hold {FILE}")

    every = []
    for folder, title in zip(folders, titles(folders), strict=True):
        every.append(read_results(folder, title))

    # Numbers can be compared only if everything else is the same.
    for results in every:
        check_same(every[0], results)
        check_fresh(results)

    return every


def check_fresh(results: Results, sequences: Iterable[VideoSequence] = ()) -> None:
    """Check that masks and annotations are still those that were scored.

    Masks that have been deleted are not checked.

    Args:
        results: The scores.
        sequences: Sequences whose annotations are checked.

    Raises:
        InputError: Masks or annotations have changed.
    """
    path = results.folder / FILE
    for name, result in results.sequences.items():
        folder = result.masks / name
        # Scores outlive their masks, which may be deleted to save space.
        if not folder.is_dir():
            continue

        if masks_fingerprint(folder, result.frames) != result.sha256.get("masks"):
            raise InputError(
                f"{path}: is of other masks of {name} than {folder} holds now; score again"
            )

    for sequence in sequences:
        # The benchmark on disk may have been replaced by another release since.
        scored = results.sequences[sequence.name].sha256.get("annotations")
        if truth_fingerprint(sequence) != scored:
            raise InputError(
                f"{path}: is of other annotations of {sequence.name} than there are now;"
                " score again"
            )


def titled_folders(pairs: Iterable[str]) -> dict[str, Path]:
    """Parse words TITLE=FOLDER into title -> folder of masks.

    Raises:
        InputError: A word has another form, or a folder is missing.
    """
    folders = {}
    for pair in pairs:
        title, equals, folder = pair.partition("=")
        # Either part may be missing, and `folder` may contain further equals signs.
        if not (title and equals and folder):
            raise InputError(f"--results {pair}: must be TITLE=FOLDER, such as trained=out/trained")
        if not Path(folder).is_dir():
            raise InputError(f"{folder}: no such folder of results (--results {pair})")

        folders[title] = Path(folder)

    return folders


def titles(folders: list[Path]) -> list[str]:
    """The shortest ends of the paths, of equal length, that are all different.

    Raises:
        InputError: A folder is named twice.
    """
    # Resolved, so that two spellings of one folder count as the same.
    parts = [folder.resolve().parts for folder in folders]
    for path, folder in zip(parts, folders, strict=True):
        if parts.count(path) > 1:
            raise InputError(f"{folder}: is named twice; name each result once")

    # All paths differ in full, so the loop ends with unique ends.
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        ends = ["/".join(path[-length:]) for path in parts]
        if len(set(ends)) == len(ends):
            break

    return ends


def check_same(first: Results, other: Results) -> None:
    """Check that two results can be compared.

    Raises:
        InputError: They differ in benchmark, split, metric, classes, sequences, frames or
            annotations.
    """
    # From coarse to fine, since a coarse difference explains the finer ones.
    pair = f"{other.folder}: cannot be compared with {first.folder}"
    if (first.dataset, first.split) != (other.dataset, other.split):
        raise InputError(
            f"{pair}: {other.dataset} {other.split} against {first.dataset} {first.split};"
            " score both alike"
        )

    if first.metric != other.metric:
        own = "the benchmark's own"
        raise InputError(
            f"{pair}: its metric is {other.metric or own}, there {first.metric or own};"
            " score both alike"
        )

    if first.classes.keys() != other.classes.keys():
        first_classes = ", ".join(first.classes) or "none"
        other_classes = ", ".join(other.classes) or "none"
        raise InputError(
            f"{pair}: its classes are {other_classes}, there {first_classes}; score both alike"
        )

    # Sequences that only one of the two has.
    for name in sorted(first.sequences.keys() ^ other.sequences.keys()):
        lacking = other if name in first.sequences else first
        raise InputError(
            f"{pair}: sequence {name} is not in {lacking.folder / FILE};"
            " score both on the same sequences"
        )

    for name, result in first.sequences.items():
        counterpart = other.sequences[name]
        if result.frames != counterpart.frames:
            raise InputError(f"{pair}: {name} is scored in other frames; score both alike")

        if result.sha256.get("annotations") != counterpart.sha256.get("annotations"):
            raise InputError(
                f"{pair}: {name} is scored against other annotations; score both against the same"
            )


def lower_is_better(column: str) -> bool:
    """Whether a small number is good: decay, temporal instability T, and variation V over time."""
    return column.endswith("-Decay") or column.startswith(("T-", "V-"))


def _sequence(content: Mapping[str, Any], folder: Path) -> SequenceResult:
    """One sequence of results.json; paths in it are relative to `folder`."""
    objects: dict[str, dict[str, np.ndarray]] = {}
    for id, curves in content.get("objects", {}).items():
        objects[id] = {}
        for letter in "JF":
            if letter in curves:
                # JSON has null where numpy has NaN.
                objects[id][letter] = np.array(curves[letter], dtype=float)

    # The other entries are no columns: names of frames, curves of objects, fingerprints.
    numbers = {}
    for column, value in content.items():
        if isinstance(value, float | int | None):
            numbers[column] = value

    return SequenceResult(
        row=_row(numbers),
        frames=tuple(content.get("frames", ())),
        objects=objects,
        masks=folder / content.get("masks", "."),
        sha256=dict(content.get("sha256", {})),
    )


def _row(numbers: Mapping[str, float | None]) -> dict[str, float]:
    """Numbers with NaN instead of null."""
    row = {}
    for column, value in numbers.items():
        # JSON has no NaN.
        row[column] = float("nan") if value is None else float(value)

    return row
