"""Read and check the masks of objects: which frames count, and which ids are allowed."""

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
"""Masks to score: a folder with SEQUENCE/FRAME.png, or name of a frame -> ids [H,W] uint8."""


def annotated_frames(sequence: VideoSequence) -> list[int]:
    """Indices of the frames that have an annotation."""
    return list(sequence.annotated or range(len(sequence.frame_names)))


def counted_frames(sequence: VideoSequence, rules: ObjectRules) -> list[int]:
    """Indices of the frames that are scored.

    These are the annotated frames without those that the benchmark skips at both ends. The last
    frame of sparse annotations is never skipped.
    """
    first, last = rules.skipped
    annotated = annotated_frames(sequence)

    # Annotations are sparse if frames without one lie between or after them.
    is_sparse = len(annotated) != len(sequence.frame_names) - annotated[0]
    stop = len(annotated) if is_sparse else len(annotated) - last
    return annotated[first:stop]


def object_ids(sequence: VideoSequence) -> list[int]:
    """The ids of the objects that count, in order.

    These are the ids that the benchmark names or, if it names none, those in the first annotation,
    without void. Other objects that appear later do not count.

    Raises:
        InputError: The first annotation holds no object.
    """
    # Some benchmarks list their objects, with the frame in which each appears.
    if sequence.appears:
        return sorted(sequence.appears)
    if sequence.merge_objects and sequence.annotated:
        # In sparse annotations the object may be absent from the first one.
        return [1]

    # No indices in `annotated` mean that every frame has an annotation.
    index = sequence.annotated[0] if sequence.annotated else 0
    objects = ids_in(read_truth(sequence, index))
    if not objects:
        raise no_object(sequence.truth[index])

    return objects


def no_object(annotation: Path) -> InputError:
    """The error to raise if an annotation, and perhaps all later ones, hold no object."""
    return InputError(
        f"{annotation}: annotation holds no object; number the objects from 1 on,"
        " or use --dataset davis16 for masks of 0 and 255"
    )


def ids_in(annotation: np.ndarray) -> list[int]:
    """The ids in an annotation [H,W] without background and void, in order."""
    return [int(id) for id in np.unique(annotation) if id not in (0, VOID)]


def read_truth(sequence: VideoSequence, index: int) -> np.ndarray:
    """Read the annotation of a frame as ids [H,W] uint8, merged if the benchmark merges objects."""
    # Resize before objects are merged; nearest neighbour keeps ids as they are.
    ids = sequence.reader(sequence.truth[index])
    if sequence.annotation_size is not None:
        ids = resized_ids(ids, sequence.annotation_size)

    return merged(ids) if sequence.merge_objects else ids


def has_prediction(sequence: VideoSequence, masks: Masks, index: int) -> bool:
    """Whether the frame of this index has a mask."""
    name = sequence.frame_names[index]
    if isinstance(masks, Path):
        return mask_file(masks / sequence.name, name).is_file()

    return name in masks


def mask_title(sequence: VideoSequence, masks: Masks, index: int) -> str:
    """The name of a mask in messages: its file, or its sequence and frame."""
    name = sequence.frame_names[index]
    if isinstance(masks, Path):
        return str(mask_file(masks / sequence.name, name))

    return f"results: sequence {sequence.name}, frame {name}"


def read_prediction(
    sequence: VideoSequence, masks: Masks, index: int, shape: tuple[int, ...]
) -> np.ndarray:
    """Read the mask of a frame.

    Args:
        sequence: The sequence.
        masks: The masks to score.
        index: Index of the frame.
        shape: [H,W] of the annotation.

    Returns:
        Ids [H,W] uint8, merged into one if the benchmark merges objects.

    Raises:
        InputError: The mask is missing or unreadable, or has another size and may not be resized.
    """
    name = sequence.frame_names[index]
    if isinstance(masks, Path):
        ids = read_mask(mask_file(masks / sequence.name, name))
    else:
        ids = masks[name]

    if sequence.resize_masks:
        # OpenCV takes (width, height). Nearest neighbour makes no new ids.
        ids = cv2.resize(ids, shape[::-1], interpolation=cv2.INTER_NEAREST)

    if ids.shape != shape:
        raise InputError(
            f"{mask_title(sequence, masks, index)}: mask is {ids.shape[1]}x{ids.shape[0]} but its"
            f" annotation is {shape[1]}x{shape[0]}; {_size_remedy(sequence, ids)}"
        )

    return merged(ids) if sequence.merge_objects else ids


def _size_remedy(sequence: VideoSequence, ids: np.ndarray) -> str:
    """How to fix a mask [H,W] of another size than its annotation."""
    if sequence.annotation_size is not None:
        return (
            "leave --annotation-size out, or propagate with a --mask-size or --preset of that size"
        )

    size = size_text((ids.shape[0], ids.shape[1]))
    return (
        "write masks at the size of the frames,"
        f" or resize annotations with --annotation-size {size}"
    )


def numbered_prediction(
    sequence: VideoSequence, masks: Masks, index: int, ids: np.ndarray, allowed: Collection[int]
) -> np.ndarray:
    """Number the allowed ids of a mask from 1 on.

    Args:
        sequence: The sequence.
        masks: The masks to score.
        index: Index of the frame.
        ids: The mask [H,W] uint8 of this frame.
        allowed: The ids that it may hold besides background, in order.

    Returns:
        The mask [H,W] uint8, in which the k-th allowed id has become k.

    Raises:
        InputError: The mask holds another id.
    """
    result = numbered(ids, allowed)
    # An id that is not allowed has become background, so pixels of objects are lost.
    if result is not ids and np.count_nonzero(result) < np.count_nonzero(ids):
        stray = ids[result == 0].max()
        raise InputError(
            f"{mask_title(sequence, masks, index)}: mask holds id {stray}, but {sequence.name} has"
            f" the ids {', '.join(map(str, allowed))}"
        )

    return result


def numbered(ids: np.ndarray, kept: Collection[int]) -> np.ndarray:
    """Number the ids `kept` of a mask [H,W] from 1 on, and make all others background.

    The mask itself is returned if nothing changes.
    """
    # This is the usual case, and needs no pass over the pixels but the maximum.
    if list(kept) == list(range(1, len(kept) + 1)) and ids.max() <= len(kept):
        return ids

    # A lookup table handles all pixels in one pass.
    table = np.zeros(256, np.uint8)
    table[list(kept)] = range(1, len(kept) + 1)
    return cv2.LUT(ids, table)


def check_files(sequence: VideoSequence, rules: ObjectRules, results: Path) -> None:
    """Check that all files exist, before any time is spent on scoring.

    Args:
        sequence: The sequence.
        rules: The rules of the benchmark.
        results: Folder of the masks to score. Frames that do not count may lack a mask.

    Raises:
        InputError: The sequence has no annotations, or a file is missing.
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
