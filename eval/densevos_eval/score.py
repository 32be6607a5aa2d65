"""Scores of masks on disk: J and F of every object in every frame. Neither torch nor a model is needed."""

import multiprocessing
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from densevos.errors import InputError
from densevos.masks import read_mask
from densevos_eval.metrics.boundary import contour_accuracy
from densevos_eval.metrics.matching import without_void
from densevos_eval.metrics.region import region_similarity
from densevos_eval.metrics.statistics import statistics
from densevos_eval.protocols import Protocol
from densevos_eval.sequences import Sequence, merged

VOID = 255
COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")


@dataclass(frozen=True, kw_only=True)
class ObjectScores:
    """J and F [frames] of one object in the frames that count."""

    id: int
    region: np.ndarray
    contour: np.ndarray


@dataclass(frozen=True, kw_only=True)
class SequenceScores:
    """The objects of one sequence; `frames` names the frames that count."""

    name: str
    frames: tuple[str, ...]
    objects: tuple[ObjectScores, ...]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """A whole split; means are taken over objects, as DAVIS-2017 does, not over sequences."""

    dataset: str
    split: str
    sequences: tuple[SequenceScores, ...]

    @property
    def overall(self) -> dict[str, float]:
        """The columns of the official table over all objects."""
        return summary(one for sequence in self.sequences for one in sequence.objects)


def summary(objects: Iterable[ObjectScores]) -> dict[str, float]:
    """The columns of the official table: statistics of each object's J and F, averaged over the objects."""
    each = [astuple(statistics(one.region)) + astuple(statistics(one.contour)) for one in objects]
    means = np.mean(each, axis=0).tolist()
    return dict(zip(COLUMNS, [(means[0] + means[3]) / 2, *means], strict=True))


def score(
    sequences: list[Sequence],
    results: Path,
    protocol: Protocol,
    *,
    split: str,
    workers: int = 1,
    watch: Callable[[Iterable[SequenceScores]], Iterable[SequenceScores]] = iter,
) -> Scores:
    """Score the masks RESULTS/SEQUENCE/FRAME.png against the annotations of `sequences`.

    workers: processes to spread the sequences over; the numbers do not depend on it.
    watch: wraps the stream of finished sequences, for a progress bar.

    Raises InputError that names the first mask which is missing, unreadable, of another size than its
    annotation, or holds more ids than there are objects.
    """
    for sequence in sequences:
        _check_files(sequence, results)
    finished = _each(partial(score_sequence, results=results, protocol=protocol), sequences, workers)
    return Scores(dataset=protocol.name, split=split, sequences=tuple(watch(finished)))


def score_sequence(sequence: Sequence, results: Path, protocol: Protocol) -> SequenceScores:
    """J and F of the objects of one sequence, in the frames that count; see score."""
    counted = slice(1, -1) if protocol.skip_ends else slice(None)
    if not sequence.frame_names[counted]:
        raise InputError(f"{sequence.source}: too few frames: the first and the last are not scored; leave it out")
    objects = object_ids(sequence)
    allowed = range(1, protocol.max_proposals + 1) if protocol.max_proposals else objects
    shape = (len(objects), len(allowed), len(sequence.frame_names))
    region, contour = np.empty(shape), np.empty(shape)
    proposals = len(objects)
    for t, name in enumerate(sequence.frame_names):
        annotation = _read_truth(sequence, t)
        truth = _numbered(annotation, objects)
        file = results / sequence.name / f"{name}.png"
        prediction = _read_prediction(sequence, file, truth.shape, allowed)
        if protocol.ignore_void:
            truth, prediction = without_void(truth, prediction, annotation == VOID)
        region[:, :, t] = region_similarity(truth, prediction, len(objects), len(allowed))
        contour[:, :, t] = contour_accuracy(truth, prediction, len(objects), len(allowed))
        proposals = max(proposals, int(prediction.max()))

    region, contour = region[:, :proposals, counted], contour[:, :proposals, counted]
    chosen = protocol.match(region, contour)
    return SequenceScores(
        name=sequence.name,
        frames=sequence.frame_names[counted],
        objects=tuple(
            ObjectScores(id=id, region=region[i, k], contour=contour[i, k])
            for i, (id, k) in enumerate(zip(objects, chosen, strict=True))
        ),
    )


def object_ids(sequence: Sequence) -> list[int]:
    """The ids in the annotation of the first frame, void left out; objects that appear later do not count."""
    first = _read_truth(sequence, 0)
    objects = [int(id) for id in np.unique(first) if id not in (0, VOID)]
    if not objects:
        raise InputError(
            f"{sequence.truth[0]}: annotation holds no object; number the objects from 1 on,"
            " or use --dataset davis16 for masks of 0 and 255"
        )
    return objects


def _read_truth(sequence: Sequence, index: int) -> np.ndarray:
    ids = read_mask(sequence.truth[index])
    return merged(ids) if sequence.merge_objects else ids


def _read_prediction(sequence: Sequence, path: Path, shape: tuple[int, ...], allowed: Collection[int]) -> np.ndarray:
    """The mask at `path`, its ids numbered from 1 on; see score for the errors."""
    ids = read_mask(path)
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
    table = np.zeros(256, np.uint8)
    table[list(kept)] = range(1, len(kept) + 1)
    return cv2.LUT(ids, table)


def _check_files(sequence: Sequence, results: Path) -> None:
    """Raise InputError for the first file missing, before any time is spent on scoring."""
    if not sequence.truth:
        raise InputError(f"{sequence.source}: no annotations to score {sequence.name} against")
    for name, truth in zip(sequence.frame_names, sequence.truth, strict=True):
        if not truth.is_file():
            raise InputError(f"{truth}: annotation is missing; scoring needs one for every frame")
        prediction = results / sequence.name / f"{name}.png"
        if not prediction.is_file():
            raise InputError(f"{prediction}: mask is missing; --results needs one for every frame")


def _each(
    function: Callable[[Sequence], SequenceScores], sequences: list[Sequence], workers: int
) -> Iterator[SequenceScores]:
    """function of every sequence, in order."""
    workers = min(workers, len(sequences))
    if workers <= 1:
        yield from map(function, sequences)
        return
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(function, sequences)
