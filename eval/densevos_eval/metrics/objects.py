"""Objects in masks: region similarity J, contour accuracy F and temporal stability T."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import cv2
import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, read_mask
from densevos.base.names import mask_file
from densevos_eval.metrics.boundary import contour_accuracy
from densevos_eval.metrics.matching import without_void
from densevos_eval.metrics.metric import Arrays, Row, Rows, Scores
from densevos_eval.metrics.region import region_similarity
from densevos_eval.metrics.sequence_metric import Benchmark, SequenceMetric
from densevos_eval.metrics.statistics import statistics
from densevos_eval.metrics.tables import csv_bytes, decimals
from densevos_eval.metrics.temporal import polygon, resampled, stability
from densevos_eval.sequences.sequence import Sequence, merged

COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
STABILITY = "T-Mean"
Curves = Mapping[str, np.ndarray]
"""One object: "J" and, where it is asked for, "F", each [frames] that count; NaN before it appears."""


class ObjectRules(Benchmark, Protocol):
    """What J, F and T must know of a benchmark; see protocols.Protocol for what each rule means."""

    @property
    def skipped(self) -> tuple[int, int]:
        """How many annotated frames at the beginning and, unless they are sparse, at the end are not scored."""
        ...

    @property
    def ignore_void(self) -> bool:
        """Whether void pixels count for neither side."""
        ...

    @property
    def max_proposals(self) -> int | None:
        """How many ids a result may hold; None: as many as there are objects."""
        ...

    @property
    def contour(self) -> bool:
        """Whether F is asked for."""
        ...

    @property
    def stability(self) -> frozenset[str]:
        """The sequences whose T is asked for."""
        ...

    @property
    def mean_over_classes(self) -> bool:
        """Whether means are over frames, then shots, then classes."""
        ...

    @property
    def decay_uint8(self) -> bool:
        """Whether decay is computed as the DAVIS toolbox does."""
        ...

    @property
    def match(self) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Chooses the proposal of each object from J and F."""
        ...


@dataclass(frozen=True, kw_only=True)
class ObjectsMetric(SequenceMetric):
    """J and F of every object in every frame; means are over objects, as DAVIS-2017 takes them.

    If the benchmark says so, means are over the classes, which the names of the sequences begin with.
    """

    benchmark: ObjectRules
    name: ClassVar[str] = "objects"

    def frames(self, item: Sequence) -> tuple[str, ...]:
        """The annotated frames, less those that the benchmark skips at both ends."""
        return tuple(item.frame_names[t] for t in counted_frames(item, self.benchmark))

    def is_scored(self, item: Sequence) -> bool:
        """Whether any frame counts; none does in a sequence of two frames of which both are skipped."""
        return not item.truth or bool(counted_frames(item, self.benchmark))

    def measure(self, item: Sequence, folder: Path) -> Arrays:
        """See measure_objects; the files are looked for before any time is spent on scoring."""
        _check_files(item, counted_frames(item, self.benchmark), folder)
        return measure_objects(item, folder, self.benchmark)

    def combine(self, arrays: Mapping[str, Arrays]) -> Rows:
        """The columns of the official table over the split and over each sequence.

        T-Mean comes last if the benchmark asks for it. Details are the curves of each object.
        """
        rows = {name: self._row([one]) for name, one in arrays.items()}
        overall = self._row(list(arrays.values()))
        if self.benchmark.mean_over_classes:
            overall = _mean_over_classes(rows)

        return Rows(
            overall=overall,
            sequences=rows,
            sequence_details={name: self._details(one) for name, one in arrays.items()},
        )

    def title(self, scores: Scores) -> str:
        """Says what means are over, and how many there are."""
        if self.benchmark.mean_over_classes:
            means, count = "classes", len({name.split("/")[0] for name in scores.sequences})
        else:
            details = scores.rows.sequence_details.values()
            means, count = "objects", sum(len(one["objects"]) for one in details)
        return f"{super().title(scores)}, mean over {means} ({count})"

    def files(self, scores: Scores) -> Mapping[str, bytes]:
        """The two official tables of the split."""
        overall = {column: value for column, value in scores.overall.items() if column in COLUMNS}
        columns = [column for column in ("J-Mean", "F-Mean") if column in overall]

        rows = []
        for name, details in scores.rows.sequence_details.items():
            for id, row in details["objects"].items():
                rows.append([f"{name}_{id}", *decimals(row[column] for column in columns)])

        return {
            f"global_results-{scores.split}.csv": csv_bytes(overall, [decimals(overall.values())]),
            f"per-sequence_results-{scores.split}.csv": csv_bytes(["Sequence", *columns], rows),
        }

    def _row(self, sequences: Collection[Arrays]) -> Row:
        """The columns of the official table over the objects of these sequences."""
        objects = [curves for arrays in sequences for curves in object_curves(arrays).values()]
        row = summary(objects, decay_uint8=self.benchmark.decay_uint8)

        stabilities = [arrays["T"] for arrays in sequences if "T" in arrays]
        if not stabilities:
            return row
        known = [pairs[~np.isnan(pairs)] for pairs in stabilities]
        means = [np.mean(pairs) for pairs in known if len(pairs)]
        return {**row, STABILITY: float(np.mean(means) if means else np.nan)}

    def _details(self, arrays: Arrays) -> dict[str, Any]:
        """T of each pair of frames, and of each object its row and its curves."""
        objects = {}
        for id, curves in object_curves(arrays).items():
            row = summary([curves], decay_uint8=self.benchmark.decay_uint8)
            objects[str(id)] = {**row, **curves}
        return {"T": arrays["T"], "objects": objects} if "T" in arrays else {"objects": objects}


def object_curves(arrays: Arrays) -> dict[int, Curves]:
    """The curves of each object by id, from what measure_objects returned."""
    letters = [letter for letter in ("J", "F") if letter in arrays]
    return {id: {letter: arrays[letter][i] for letter in letters} for i, id in enumerate(arrays["ids"].tolist())}


def summary(objects: Iterable[Curves], *, decay_uint8: bool = False) -> dict[str, float]:
    """The columns of the official table: statistics of each object's J and F, averaged over the objects, if any."""
    rows = []
    for curves in objects:
        values = [v[~np.isnan(v)] for v in curves.values()]
        rows.append(np.ravel([astuple(statistics(v, decay_uint8=decay_uint8)) for v in values]))
    if not rows:
        return {}
    means = np.mean(rows, axis=0).tolist()
    if len(means) == 3:
        return dict(zip(COLUMNS[1:4], means, strict=True))
    return dict(zip(COLUMNS, [(means[0] + means[3]) / 2, *means], strict=True))


def _mean_over_classes(rows: Mapping[str, Row]) -> Row:
    """Means over the shots CLASS/... of a class, then over the classes."""
    shots: dict[str, list[Row]] = {}
    for name, row in rows.items():
        shots.setdefault(name.split("/")[0], []).append(row)

    classes = [_mean_row(of_class) for of_class in shots.values()]
    every = _mean_row([row for of_class in shots.values() for row in of_class])
    return {**_mean_row(classes), "J-Mean-Shots": every["J-Mean"]}


def _mean_row(rows: Iterable[Row]) -> dict[str, float]:
    rows = list(rows)
    return {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}


def measure_objects(sequence: Sequence, folder: Path, rules: ObjectRules) -> Arrays:
    """J and F of the objects of one sequence in the frames that count, from FOLDER/SEQUENCE/FRAME.png.

    Returns:
        "ids" [objects] int; "J" and, if the benchmark asks for it, "F" [objects,frames] float64, NaN
        before an object appears; "T" [frames-1], the temporal stability of the masks of every two
        frames, if the benchmark asks for it.

    Raises:
        InputError: A mask is missing, unreadable, of another size than its annotation, or holds more
            ids than there are objects; or too few frames are annotated.
    """
    counted = counted_frames(sequence, rules)
    if not counted:
        first, last = rules.skipped
        raise InputError(
            f"{sequence.source}: too few frames: {first} at the beginning and {last} at the end are not scored;"
            " leave it out"
        )
    objects = object_ids(sequence)
    allowed = range(1, rules.max_proposals + 1) if rules.max_proposals else objects
    shape = (len(objects), len(allowed), len(counted))
    region, contour = np.empty(shape), np.empty(shape)
    proposals = len(objects)
    outlines = []
    columns = {t: column for column, t in enumerate(counted)}
    for t in sequence.annotated or range(len(sequence.frame_names)):
        annotation = _read_truth(sequence, t)
        truth = _numbered(annotation, objects)
        file = mask_file(folder / sequence.name, sequence.frame_names[t])
        if t not in columns and not file.is_file():
            continue
        prediction = _read_prediction(sequence, file, truth.shape, allowed)
        if t not in columns:
            continue  # It does not count, but a mask that cannot be right is told of all the same.
        column = columns[t]
        if rules.ignore_void:
            truth, prediction = without_void(truth, prediction, annotation == VOID)
        region[:, :, column] = region_similarity(truth, prediction, len(objects), len(allowed))
        if rules.contour:
            contour[:, :, column] = contour_accuracy(truth, prediction, len(objects), len(allowed))
        if sequence.name in rules.stability:
            outlines.append(resampled(polygon(prediction > 0)))
        proposals = max(proposals, int(prediction.max()))

    late = np.array([[not sequence.counts(id, t) for t in counted] for id in objects])
    region, contour = (np.where(late[:, None], np.nan, values[:, :proposals]) for values in (region, contour))
    chosen = rules.match(region, contour)

    # Objects that appear only after the last frame that counts have no numbers.
    scored = np.flatnonzero(~late.all(axis=1))
    proposal = np.asarray(chosen)[scored]
    arrays = {"ids": np.array(objects, int)[scored], "J": region[scored, proposal]}
    if rules.contour:
        arrays["F"] = contour[scored, proposal]
    if sequence.name in rules.stability:
        arrays["T"] = stability(outlines)
    return arrays


def counted_frames(sequence: Sequence, rules: ObjectRules) -> list[int]:
    """Indices of the frames that are scored: those annotated, less the benchmark's ends."""
    first, last = rules.skipped
    count = len(sequence.frame_names)
    annotated = list(sequence.annotated or range(count))
    # Of sparse annotations none is spared at the end: the last is as good as the others.
    complete = len(annotated) == count - annotated[0]
    return annotated[first : len(annotated) - (last if complete else 0)]


def object_ids(sequence: Sequence) -> list[int]:
    """The ids in the annotation of the first frame, void left out, or those the benchmark names.

    Other objects that appear later do not count.
    """
    if sequence.appears:
        return sorted(sequence.appears)
    if sequence.merge_objects and sequence.annotated:
        return [1]  # in sparse annotations it may be absent at first
    index = sequence.annotated[0] if sequence.annotated else 0
    first = _read_truth(sequence, index)
    objects = [int(id) for id in np.unique(first) if id not in (0, VOID)]
    if not objects:
        raise InputError(
            f"{sequence.truth[index]}: annotation holds no object; number the objects from 1 on,"
            " or use --dataset davis16 for masks of 0 and 255"
        )
    return objects


def _read_truth(sequence: Sequence, index: int) -> np.ndarray:
    ids = sequence.reader(sequence.truth[index])
    return merged(ids) if sequence.merge_objects else ids


def _read_prediction(sequence: Sequence, path: Path, shape: tuple[int, ...], allowed: Collection[int]) -> np.ndarray:
    """The mask at `path`, its ids numbered from 1 on; see measure_objects for the errors."""
    ids = read_mask(path)
    if sequence.resize_masks:
        ids = cv2.resize(ids, shape[::-1], interpolation=cv2.INTER_NEAREST)
    if ids.shape != shape:
        raise InputError(
            f"{path}: mask is {ids.shape[1]}x{ids.shape[0]} but its annotation is {shape[1]}x{shape[0]};"
            " write masks at the size of the frames"
        )
    ids = merged(ids) if sequence.merge_objects else ids
    numbered = _numbered(ids, allowed)
    if np.count_nonzero(numbered) < np.count_nonzero(ids):
        stray = ids[numbered == 0].max()
        raise InputError(
            f"{path}: mask holds id {stray}, but {sequence.name} has the ids {', '.join(map(str, allowed))}"
        )
    return numbered


def _numbered(ids: np.ndarray, kept: Collection[int]) -> np.ndarray:
    """The mask [H,W] with the ids `kept` numbered from 1 on and all others made background."""
    if list(kept) == list(range(1, len(kept) + 1)) and ids.max() <= len(kept):
        return ids  # as nearly always
    table = np.zeros(256, np.uint8)
    table[list(kept)] = range(1, len(kept) + 1)
    return cv2.LUT(ids, table)


def _check_files(sequence: Sequence, counted: Iterable[int], results: Path) -> None:
    """Raise InputError for the first file missing, before any time is spent on scoring.

    counted: Indices of the frames that are scored; masks of the others may be missing.
    """
    if not sequence.truth:
        raise InputError(f"{sequence.source}: no annotations to score {sequence.name} against")
    for t in sequence.annotated or range(len(sequence.frame_names)):
        if not sequence.truth[t].is_file():
            raise InputError(f"{sequence.truth[t]}: annotation is missing; scoring needs one for every frame")
    for t in counted:
        prediction = mask_file(results / sequence.name, sequence.frame_names[t])
        if not prediction.is_file():
            raise InputError(f"{prediction}: mask is missing; --results needs one for every frame that is scored")


METRIC = ObjectsMetric
