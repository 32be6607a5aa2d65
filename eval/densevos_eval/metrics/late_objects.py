"""Measure J and F of objects that may appear in any frame.

Results may hold ids that no annotation has. Shapes: H x W pixels; J and F are [ids,frames], with
one column for each frame that counts.
"""

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

IDS = 256  # Masks are uint8.


def measure_late_objects(
    sequence: VideoSequence, masks: Masks, rules: ObjectRules, counted: list[int]
) -> Arrays:
    """Measure J and F of every object that is annotated in a frame that counts.

    An object counts from the first of these frames in which it is annotated or predicted, whichever
    comes first, to the last. In a frame where it is neither, it has J = F = 1. An object that is
    annotated only in frames that do not count has no score. Pixels of a result whose id no
    annotation has are background. Frames that do not count are not read, so their masks may be
    missing.

    Args:
        sequence: The sequence with its annotations.
        masks: Masks in a folder or in memory.
        rules: The rules of the benchmark.
        counted: Indices of the frames that count.

    Returns:
        "ids" [objects] int: The objects.
        "J" and, if the benchmark asks for it, "F" [objects,frames] float64: NaN before an object
            counts.
        "stray" int: The ids of the results that no frame that counts has as an object.

    Raises:
        InputError: A mask is missing, unreadable, or of another size than its annotation; or no
            annotation holds an object.

    Source: github.com/hkchengrex/vos-benchmark, whose objects, J and F these are.
    """
    # Both are 1 in frames where neither side has the object.
    region, contour = np.ones((2, IDS, len(counted)))
    first_columns: dict[int, int] = {}  # Id -> first column where it is annotated or predicted.
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
            first_columns.setdefault(id, column)

        # The tolerance depends on the size of the frame, so it is computed before rows without
        # objects are cut off to save time.
        radius = tolerance(truth.shape)

        # Number the ids from 1 on, so that J and F are not computed for all 256.
        truth, prediction = numbered(truth, present), numbered(prediction, present)
        rows = occupied_rows(truth, prediction)
        truth, prediction = truth[rows], prediction[rows]

        # An id is compared only with itself, so only the diagonal of J [ids,ids] is needed.
        count = len(present)
        region[present, column] = np.diagonal(region_similarity(truth, prediction, count, count))
        if rules.contour:
            contour[present, column] = own_contour_accuracy(truth, prediction, count, radius)

    if not annotated:
        _check_any_object(sequence)

    # Before its first column an object does not exist, so the 1 that stands there is no score.
    ids = sorted(annotated)
    for id in ids:
        region[id, : first_columns[id]] = np.nan
        contour[id, : first_columns[id]] = np.nan

    arrays = {
        "ids": np.array(ids, int),
        "J": region[ids],
        "stray": np.array(sorted(set(first_columns) - annotated), int),
    }
    if rules.contour:
        arrays["F"] = contour[ids]

    return arrays


def _ids(mask: np.ndarray) -> set[int]:
    """The ids in the mask [H,W] uint8 without background."""
    # Faster than numpy.unique on large masks.
    counts = cv2.calcHist([mask], [0], None, [IDS], [0, IDS])
    return set(np.flatnonzero(counts.ravel()).tolist()) - {0}


def _check_any_object(sequence: VideoSequence) -> None:
    """Raise InputError if no annotation holds an object, in frames that do not count either."""
    frames = annotated_frames(sequence)
    if not any(ids_in(read_truth(sequence, t)) for t in frames):
        raise no_object(sequence.truth[frames[0]])
