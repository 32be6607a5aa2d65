"""Scores of masks on disk: J and F of every object in every frame. Neither torch nor a model is needed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path

import cv2
import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, read_mask
from densevos_eval.metrics.boundary import contour_accuracy
from densevos_eval.metrics.matching import without_void
from densevos_eval.metrics.region import region_similarity
from densevos_eval.metrics.statistics import statistics
from densevos_eval.metrics.temporal import polygon, resampled, stability
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.scoring.judging import Arrays, Judge, Judged, Plan, judge_all
from densevos_eval.sequences import Sequence, merged

COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")
STABILITY = "T-Mean"


@dataclass(frozen=True, kw_only=True)
class ObjectScores:
    """J and F [frames] of one object in the frames that count; NaN before it appears, no F where none is asked for."""

    id: int
    region: np.ndarray
    contour: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class SequenceScores:
    """The objects of one sequence; `frames` names the frames that count.

    stability: T [frames-1] of the masks of every two of them, where the benchmark asks for it.
    """

    name: str
    frames: tuple[str, ...]
    objects: tuple[ObjectScores, ...]
    stability: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A whole split; means are taken over objects, as DAVIS-2017 does, or over classes, where the protocol says so.

    broken: sequence without scores -> why; the means are then those of the others, and not the split's.
    judged: sequence -> fingerprints of its files.
    """

    protocol: Protocol
    split: str
    sequences: tuple[SequenceScores, ...]
    broken: Mapping[str, str] = field(default_factory=dict)
    judged: Mapping[str, Judged] = field(default_factory=dict)

    @property
    def dataset(self) -> str:
        """Name of the protocol."""
        return self.protocol.name

    @property
    def overall(self) -> dict[str, float]:
        """The columns of the official table over everything; T-Mean last where the benchmark has it."""
        row = self.row(self.sequences)
        if not self.protocol.mean_over_classes:
            return row
        shots: dict[str, list[dict[str, float]]] = {}
        for sequence in self.sequences:
            shots.setdefault(sequence.name.split("/")[0], []).append(self.row([sequence]))
        classes = [_mean_row(rows) for rows in shots.values()]
        every = _mean_row([one for rows in shots.values() for one in rows])
        return {**_mean_row(classes), "J-Mean-Shots": every["J-Mean"]}

    def row(self, sequences: Iterable[SequenceScores]) -> dict[str, float]:
        """The columns of the official table over the objects of these sequences."""
        sequences = list(sequences)
        objects = (one for sequence in sequences for one in sequence.objects)
        row = summary(objects, decay_uint8=self.protocol.decay_uint8)
        stabilities = [sequence.stability for sequence in sequences if sequence.stability is not None]
        means = [np.mean(pairs) for pairs in (s[~np.isnan(s)] for s in stabilities) if len(pairs)]
        return {**row, STABILITY: float(np.mean(means) if means else np.nan)} if stabilities else row


def summary(objects: Iterable[ObjectScores], *, decay_uint8: bool = False) -> dict[str, float]:
    """The columns of the official table: statistics of each object's J and F, averaged over the objects, if any."""
    rows = []
    for one in objects:
        values = [v[~np.isnan(v)] for v in (one.region, one.contour) if v is not None]
        rows.append(np.ravel([astuple(statistics(v, decay_uint8=decay_uint8)) for v in values]))
    if not rows:
        return {}
    means = np.mean(rows, axis=0).tolist()
    if len(means) == 3:
        return dict(zip(COLUMNS[1:4], means, strict=True))
    return dict(zip(COLUMNS, [(means[0] + means[3]) / 2, *means], strict=True))


def _mean_row(rows: list[dict[str, float]]) -> dict[str, float]:
    return {column: float(np.mean([row[column] for row in rows])) for column in rows[0]}


def score(
    sequences: list[Sequence],
    results: Path | Plan,
    protocol: Protocol,
    *,
    split: str,
    workers: int = 1,
    on_sequence: Callable[[str], object] = lambda name: None,
) -> Scores:
    """Score the masks RESULTS/SEQUENCE/FRAME.png against the annotations of `sequences`.

    workers: processes to spread the sequences over; the numbers do not depend on it.
    on_sequence: called with the name of each sequence when it is done.

    A sequence with a mask that is missing, unreadable, of another size than its annotation, or holds more ids than
    there are objects, is told of in `broken`. Raises InputError when all are so, or have no annotations.
    """
    if not any(sequence.truth for sequence in sequences):
        raise InputError(
            f"--dataset {protocol.name}: nothing to score against, only the server has these annotations;"
            f" make a submission with densevos-eval submit (see {protocol.source})"
        )
    plan = results if isinstance(results, Plan) else Plan(masks={one.name: results for one in sequences})
    judge = Judge(numbers=_numbers, frames=_frame_names)
    judged, broken = judge_all(sequences, judge, protocol, plan, workers=workers, on_sequence=on_sequence)
    scores = tuple(_scores(name, one.numbers) for name, one in judged.items())
    return Scores(protocol=protocol, split=split, sequences=scores, broken=broken, judged=judged)


def _numbers(sequence: Sequence, results: Path, protocol: Protocol) -> Arrays:
    """score_sequence as arrays, which can be kept: ids [n], J and F [n,frames], T [frames-1], names of the frames."""
    _check_files(sequence, results)
    scores = score_sequence(sequence, results, protocol)
    arrays = {"ids": np.array([one.id for one in scores.objects], int), "frames": np.array(scores.frames)}
    shape = (len(scores.objects), len(scores.frames))
    arrays["J"] = np.array([one.region for one in scores.objects]).reshape(shape)
    if protocol.contour:
        arrays["F"] = np.array([one.contour for one in scores.objects], float).reshape(shape)
    return arrays if scores.stability is None else {**arrays, "T": scores.stability}


def _scores(name: str, arrays: Arrays) -> SequenceScores:
    """What _numbers was made from."""
    contours = arrays.get("F", [None] * len(arrays["ids"]))
    objects = zip(arrays["ids"].tolist(), arrays["J"], contours, strict=True)
    return SequenceScores(
        name=name,
        frames=tuple(arrays["frames"].tolist()),
        objects=tuple(ObjectScores(id=id, region=region, contour=contour) for id, region, contour in objects),
        stability=arrays.get("T"),
    )


def _frame_names(sequence: Sequence, protocol: Protocol) -> list[str]:
    return [sequence.frame_names[t] for t in counted_frames(sequence, protocol)]


def score_sequence(sequence: Sequence, results: Path, protocol: Protocol) -> SequenceScores:
    """J and F of the objects of one sequence, in the frames that count; see score."""
    counted = counted_frames(sequence, protocol)
    objects = object_ids(sequence)
    allowed = range(1, protocol.max_proposals + 1) if protocol.max_proposals else objects
    shape = (len(objects), len(allowed), len(counted))
    region, contour = np.empty(shape), np.empty(shape)
    proposals = len(objects)
    outlines = []
    columns = {t: column for column, t in enumerate(counted)}
    for t in sequence.annotated or range(len(sequence.frame_names)):
        annotation = _read_truth(sequence, t)
        truth = _numbered(annotation, objects)
        file = results / sequence.name / f"{sequence.frame_names[t]}.png"
        prediction = _read_prediction(sequence, file, truth.shape, allowed)
        if t not in columns:
            continue  # It does not count, but a mask that cannot be right is told of all the same.
        column = columns[t]
        if protocol.ignore_void:
            truth, prediction = without_void(truth, prediction, annotation == VOID)
        region[:, :, column] = region_similarity(truth, prediction, len(objects), len(allowed))
        if protocol.contour:
            contour[:, :, column] = contour_accuracy(truth, prediction, len(objects), len(allowed))
        if sequence.name in protocol.stability:
            outlines.append(resampled(polygon(prediction > 0)))
        proposals = max(proposals, int(prediction.max()))

    late = np.array([[t <= sequence.appears.get(id, -1) for t in counted] for id in objects])
    region, contour = (np.where(late[:, None], np.nan, values[:, :proposals]) for values in (region, contour))
    chosen = protocol.match(region, contour)
    return SequenceScores(
        name=sequence.name,
        frames=tuple(sequence.frame_names[t] for t in counted),
        objects=tuple(
            ObjectScores(id=id, region=region[i, k], contour=contour[i, k] if protocol.contour else None)
            for i, (id, k) in enumerate(zip(objects, chosen, strict=True))
            if not late[i].all()
        ),
        stability=stability(outlines) if sequence.name in protocol.stability else None,
    )


def counted_frames(sequence: Sequence, protocol: Protocol) -> list[int]:
    """Indices of the frames that are scored: those annotated, less the protocol's ends."""
    first, last = protocol.skipped
    frames = list(sequence.annotated or range(len(sequence.frame_names)))
    frames = frames[first : len(frames) - last]
    if not frames:
        raise InputError(
            f"{sequence.source}: too few frames: {first} at the beginning and {last} at the end are not scored;"
            " leave it out"
        )
    return frames


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
    ids = read_mask(sequence.truth[index])
    return merged(ids) if sequence.merge_objects else ids


def _read_prediction(sequence: Sequence, path: Path, shape: tuple[int, ...], allowed: Collection[int]) -> np.ndarray:
    """The mask at `path`, its ids numbered from 1 on; see score for the errors."""
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


def _check_files(sequence: Sequence, results: Path) -> None:
    """Raise InputError for the first file missing, before any time is spent on scoring."""
    if not sequence.truth:
        raise InputError(f"{sequence.source}: no annotations to score {sequence.name} against")
    for t in sequence.annotated or range(len(sequence.frame_names)):
        if not sequence.truth[t].is_file():
            raise InputError(f"{sequence.truth[t]}: annotation is missing; scoring needs one for every frame")
        prediction = results / sequence.name / f"{sequence.frame_names[t]}.png"
        if not prediction.is_file():
            raise InputError(f"{prediction}: mask is missing; --results needs one for every frame")
