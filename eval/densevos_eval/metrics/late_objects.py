"""J and F where objects may appear in any frame, and results may hold ids that nobody annotated."""

import cv2
import numpy as np

from densevos.base.masks import VOID
from densevos_eval.metrics.boundary import tolerance
from densevos_eval.metrics.metric import Arrays
from densevos_eval.metrics.object_masks import (
    Masks,
    annotated_frames,
    ids_in,
    no_object,
    numbered,
    read_prediction,
    read_truth,
)
from densevos_eval.metrics.object_rules import ObjectRules
from densevos_eval.metrics.own_boundary import own_contour_accuracy
from densevos_eval.metrics.pixels import occupied_rows
from densevos_eval.metrics.region import region_similarity
from densevos_eval.sequences.sequence import VideoSequence

IDS = 256


def measure_late_objects(
    sequence: VideoSequence, masks: Masks, rules: ObjectRules, counted: list[int]
) -> Arrays:
    """J and F of every object that is annotated in a frame that counts, as vos-benchmark scores
    them.

    An object counts from the first of these frames in which it is annotated or predicted, whichever
    comes first, to the last; in a frame where it is neither, it is right. An object that is
    annotated only in frames that do not count has no score. An id of the results that no annotation
    has is no object: where it takes pixels, they are background. A frame that does not count is not
    looked at, so its mask may be missing.

    Returns:
        "ids" [objects] int; "J" and, if the benchmark asks for it, "F" [objects,frames] float64,
        NaN before an object counts; "stray" int, the ids of the results that no frame that counts
        has as an object.

    Raises:
        InputError: A mask is missing, unreadable, or of another size than its annotation; or no
            annotation holds an object.

    Source: github.com/hkchengrex/vos-benchmark, whose objects, J and F these are.
    """
    region, contour = np.ones(
        (2, IDS, len(counted))
    )  # Where an object is on neither side, it is right.
    begins: dict[int, int] = {}  # Id -> the first column in which it is annotated or predicted.
    annotated: set[int] = set()

    for column, t in enumerate(counted):
        truth = read_truth(sequence, t)
        prediction = read_prediction(sequence, masks, t, truth.shape)
        # Void counts as background, unless the rules say that it counts for neither side.
        void = truth == VOID
        if void.any():
            truth = np.where(void, 0, truth)
            prediction = np.where(void, 0, prediction) if rules.ignore_void else prediction

        in_truth = _ids(truth)
        present = sorted(in_truth | _ids(prediction))
        annotated |= in_truth
        for id in present:
            begins.setdefault(id, column)

        radius = tolerance(truth.shape)
        truth, prediction = numbered(truth, present), numbered(prediction, present)
        rows = occupied_rows(truth, prediction)
        truth, prediction = truth[rows], prediction[rows]

        count = len(present)
        region[present, column] = np.diagonal(region_similarity(truth, prediction, count, count))
        if rules.contour:
            contour[present, column] = own_contour_accuracy(truth, prediction, count, radius)

    if not annotated:
        _check_any_object(sequence)

    ids = sorted(annotated)
    for id in ids:
        region[id, : begins[id]] = contour[id, : begins[id]] = np.nan

    arrays = {
        "ids": np.array(ids, int),
        "J": region[ids],
        "stray": np.array(sorted(set(begins) - annotated), int),
    }

    return {**arrays, "F": contour[ids]} if rules.contour else arrays


def _ids(mask: np.ndarray) -> set[int]:
    """The ids in the mask [H,W] uint8, background left out."""
    counts = cv2.calcHist([mask], [0], None, [IDS], [0, IDS])
    return set(np.flatnonzero(counts.ravel()).tolist()) - {0}


def _check_any_object(sequence: VideoSequence) -> None:
    """Raise InputError if no annotation at all holds an object."""
    frames = annotated_frames(sequence)
    if not any(ids_in(read_truth(sequence, t)) for t in frames):
        raise no_object(sequence.truth[frames[0]])
