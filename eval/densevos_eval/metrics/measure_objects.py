"""Measure J, F and T of the objects of one sequence, frame by frame.

Shapes: H x W pixels. J and F are [objects,proposals,frames] until each object has its proposal,
then [objects,frames]; `frames` are those that count.
"""

import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID
from densevos_eval.metrics.boundary import contour_accuracy, tolerance
from densevos_eval.metrics.late_objects import measure_late_objects
from densevos_eval.metrics.matching import same_id, without_void
from densevos_eval.metrics.metric import Arrays
from densevos_eval.metrics.object_masks import (
    Masks,
    annotated_frames,
    counted_frames,
    has_prediction,
    numbered,
    numbered_prediction,
    object_ids,
    read_prediction,
    read_truth,
)
from densevos_eval.metrics.object_rules import ObjectRules
from densevos_eval.metrics.own_boundary import own_contour_accuracy
from densevos_eval.metrics.pixels import occupied_rows
from densevos_eval.metrics.region import region_similarity
from densevos_eval.metrics.temporal import polygon, resampled, stability
from densevos_eval.sequences.sequence import VideoSequence


def measure_objects(sequence: VideoSequence, masks: Masks, rules: ObjectRules) -> Arrays:
    """Measure J, F and T of the objects of one sequence in the frames that count.

    Args:
        sequence: The sequence with its annotations.
        masks: Masks in a folder or in memory.
        rules: The rules of the benchmark.

    Returns:
        "ids" [objects] int: The objects.
        "J" and, if the benchmark asks for it, "F" [objects,frames] float64: NaN before an object
            appears.
        "T" [frames-1] float64, if the benchmark asks for it: Temporal stability of the masks of
            every two successive frames.
        "stray", with late_objects: See measure_late_objects.

    Raises:
        InputError: A mask is missing, unreadable, of another size than its annotation, or holds
            more ids than there are objects; or too few frames are annotated.
    """
    counted = counted_frames(sequence, rules)
    if not counted:
        first, last = rules.skipped
        raise InputError(
            f"{sequence.source}: too few frames: {first} at the beginning and {last} at the end"
            " are not scored; leave it out"
        )

    if rules.late_objects:
        arrays = measure_late_objects(sequence, masks, rules, counted)
    else:
        arrays = _measure_first_objects(sequence, masks, rules, counted)

    # T makes no sense if objects are occluded or deform, so benchmarks list the other sequences.
    if sequence.name in rules.stability:
        return {**arrays, "T": _stability(sequence, masks, counted)}

    return arrays


def _measure_first_objects(
    sequence: VideoSequence, masks: Masks, rules: ObjectRules, counted: list[int]
) -> Arrays:
    """J and F of objects that are known from the start, each with the proposal that it matches."""
    objects = object_ids(sequence)
    # Proposals to be matched may have any id up to the limit, others only those of objects.
    allowed = range(1, rules.max_proposals + 1) if rules.max_proposals else objects

    # If the proposal of an object is the one with its id, no other pair is measured.
    own = rules.match is same_id
    shape = (len(objects), 1 if own else len(allowed), len(counted))
    # Both [objects,proposals,frames]; F stays unset if the benchmark does not ask for it.
    region, contour = np.empty(shape), np.empty(shape)

    # Highest number of a proposal that a mask holds; matching needs as many as there are objects.
    proposals = len(objects)
    columns = {t: column for column, t in enumerate(counted)}

    for t in annotated_frames(sequence):
        # Frames that do not count may lack a mask.
        if t not in columns and not has_prediction(sequence, masks, t):
            continue

        annotation = read_truth(sequence, t)
        prediction = read_prediction(sequence, masks, t, annotation.shape)
        prediction = numbered_prediction(sequence, masks, t, prediction, allowed)
        if t not in columns:
            # This frame does not count, but its mask is checked like the others.
            continue

        truth = numbered(annotation, objects)
        if rules.ignore_void:
            truth, prediction = without_void(truth, prediction, annotation == VOID)

        proposals = max(proposals, int(prediction.max()))

        # The tolerance depends on the size of the frame, so it is computed before rows without
        # objects are cut off to save time.
        radius = tolerance(truth.shape)
        rows = occupied_rows(truth, prediction)
        truth, prediction = truth[rows], prediction[rows]

        similarity = region_similarity(truth, prediction, len(objects), len(allowed))
        if own:
            # [objects,proposals] -> [objects,1]: proposal k stands for object k.
            similarity = np.diagonal(similarity)[: len(objects), None]

        region[:, :, columns[t]] = similarity

        # The function for pairs of one id is faster; only a later match needs F of all pairs.
        if rules.contour and own:
            contour[:, 0, columns[t]] = own_contour_accuracy(
                truth, prediction, len(objects), radius
            )
        elif rules.contour:
            contour[:, :, columns[t]] = contour_accuracy(
                truth, prediction, len(objects), len(allowed), radius
            )

    # An object has no numbers in frames where it does not count, such as before it appears.
    absent = np.array([[not sequence.counts(id, t) for t in counted] for id in objects])
    region = np.where(absent[:, None], np.nan, region[:, :proposals])
    contour = np.where(absent[:, None], np.nan, contour[:, :proposals])
    chosen = np.zeros(len(objects), int) if own else np.asarray(rules.match(region, contour))

    # Objects that appear only after the last frame that counts have no numbers.
    scored = np.flatnonzero(~absent.all(axis=1))
    arrays = {"ids": np.array(objects, int)[scored], "J": region[scored, chosen[scored]]}
    if rules.contour:
        arrays["F"] = contour[scored, chosen[scored]]

    return arrays


def _stability(sequence: VideoSequence, masks: Masks, counted: list[int]) -> np.ndarray:
    """T [frames-1] of the masks, all ids merged into one object."""
    # Polygons take far less memory than the masks of a whole sequence.
    outlines = []
    for t in counted:
        # The annotation is read for its size alone: masks must have it, as for J and F.
        shape = read_truth(sequence, t).shape
        outlines.append(resampled(polygon(read_prediction(sequence, masks, t, shape) > 0)))

    return stability(outlines)
