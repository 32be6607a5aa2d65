"""The masks that scores of objects are made from: which frames count, which ids there are, and what
is refused.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import cv2
import numpy as np

from densevos.base.errors import InputError
from densevos.base.masks import VOID, read_mask
from densevos.base.names import mask_file
from densevos_eval.base.sizes import size_text
from densevos_eval.metrics.object_rules import ObjectRules
from densevos_eval.sequences.sequence import VideoSequence, merged, resized_ids

Masks = Path | Mapping[str, np.ndarray]
"""The masks to score: a folder with SEQUENCE/FRAME.png, or ids [H,W] uint8 of one sequence by the
name of the frame.
"""


def annotated_frames(sequence: VideoSequence) -> list[int]:
    """Indices of the frames that have an annotation."""
    return list(sequence.annotated or range(len(sequence.frame_names)))


def counted_frames(sequence: VideoSequence, rules: ObjectRules) -> list[int]:
    """Indices of the frames that are scored: those annotated, less the benchmark's ends."""
    first, last = rules.skipped
    annotated = annotated_frames(sequence)
    # Of sparse annotations none is spared at the end: the last is as good as the others.
    complete = len(annotated) == len(sequence.frame_names) - annotated[0]

    return annotated[first : len(annotated) - (last if complete else 0)]


def object_ids(sequence: VideoSequence) -> list[int]:
    """The ids in the annotation of the first frame, void left out, or those the benchmark names.

    Other objects that appear later do not count.
    """
    if sequence.appears:
        return sorted(sequence.appears)
    if sequence.merge_objects and sequence.annotated:
        return [1]  # in sparse annotations it may be absent at first

    index = sequence.annotated[0] if sequence.annotated else 0
    objects = ids_in(read_truth(sequence, index))
    if not objects:
        raise no_object(sequence.truth[index])

    return objects


def no_object(annotation: Path) -> InputError:
    """The error of an annotation, or of all from this one on, without object."""
    return InputError(
        f"{annotation}: annotation holds no object; number the objects from 1 on,"
        " or use --dataset davis16 for masks of 0 and 255"
    )


def ids_in(annotation: np.ndarray) -> list[int]:
    """The objects in an annotation [H,W], in order: neither background nor void."""
    return [int(id) for id in np.unique(annotation) if id not in (0, VOID)]


def read_truth(sequence: VideoSequence, index: int) -> np.ndarray:
    """The annotation of a frame as ids [H,W] uint8; one id where the benchmark merges objects."""
    ids = sequence.reader(sequence.truth[index])
    if sequence.annotation_size is not None:
        ids = resized_ids(ids, sequence.annotation_size)

    return merged(ids) if sequence.merge_objects else ids


def has_prediction(sequence: VideoSequence, masks: Masks, index: int) -> bool:
    """Whether there is a mask of the frame of this index."""
    name = sequence.frame_names[index]
    return (
        mask_file(masks / sequence.name, name).is_file()
        if isinstance(masks, Path)
        else name in masks
    )


def mask_title(sequence: VideoSequence, masks: Masks, index: int) -> str:
    """How messages name the mask of a frame: its file, or sequence and frame."""
    name = sequence.frame_names[index]
    if isinstance(masks, Path):
        return str(mask_file(masks / sequence.name, name))

    return f"results: sequence {sequence.name}, frame {name}"


def read_prediction(
    sequence: VideoSequence, masks: Masks, index: int, shape: tuple[int, ...]
) -> np.ndarray:
    """The mask of a frame as ids [H,W] = `shape` uint8; one id where the benchmark merges objects.

    Raises InputError when it is missing, unreadable, or of another size and not to be resized.
    """
    name = sequence.frame_names[index]
    ids = (
        read_mask(mask_file(masks / sequence.name, name))
        if isinstance(masks, Path)
        else masks[name]
    )
    if sequence.resize_masks:
        ids = cv2.resize(ids, shape[::-1], interpolation=cv2.INTER_NEAREST)
    if ids.shape != shape:
        raise InputError(
            f"{mask_title(sequence, masks, index)}: mask is {ids.shape[1]}x{ids.shape[0]} but its annotation is "
            f"{shape[1]}x{shape[0]}; {_size_remedy(sequence, ids)}"
        )

    return merged(ids) if sequence.merge_objects else ids


def _size_remedy(sequence: VideoSequence, ids: np.ndarray) -> str:
    """What to do about a mask [H,W] of another size than its annotation."""
    if sequence.annotation_size is not None:
        return (
            "leave --annotation-size out, or propagate with a --mask-size or --preset of that size"
        )

    size = size_text((ids.shape[0], ids.shape[1]))
    return f"write masks at the size of the frames, or resize annotations with --annotation-size {size}"


def numbered_prediction(
    sequence: VideoSequence, masks: Masks, index: int, ids: np.ndarray, allowed: Collection[int]
) -> np.ndarray:
    """The mask [H,W] of a frame, its ids numbered from 1 on; InputError if it holds others than
    these.
    """
    result = numbered(ids, allowed)
    if result is not ids and np.count_nonzero(result) < np.count_nonzero(ids):
        stray = ids[result == 0].max()
        raise InputError(
            f"{mask_title(sequence, masks, index)}: mask holds id {stray}, but {sequence.name} has the ids "
            f"{', '.join(map(str, allowed))}"
        )

    return result


def numbered(ids: np.ndarray, kept: Collection[int]) -> np.ndarray:
    """The mask [H,W] with the ids `kept` numbered from 1 on and all others made background."""
    if list(kept) == list(range(1, len(kept) + 1)) and ids.max() <= len(kept):
        return ids  # as nearly always

    table = np.zeros(256, np.uint8)
    table[list(kept)] = range(1, len(kept) + 1)
    return cv2.LUT(ids, table)


def check_files(sequence: VideoSequence, rules: ObjectRules, results: Path) -> None:
    """Raise InputError for the first file missing, before any time is spent on scoring.

    Masks of frames that do not count may be missing.
    """
    if not sequence.truth:
        raise InputError(f"{sequence.source}: no annotations to score {sequence.name} against")

    for t in annotated_frames(sequence):
        if not sequence.truth[t].is_file():
            raise InputError(
                f"{sequence.truth[t]}: annotation is missing; scoring needs one for every frame"
            )

    for t in counted_frames(sequence, rules):
        prediction = mask_file(results / sequence.name, sequence.frame_names[t])
        if not prediction.is_file():
            raise InputError(
                f"{prediction}: mask is missing; --results needs one for every frame that is scored"
            )
