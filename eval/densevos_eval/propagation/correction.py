"""Start propagation again from a corrected frame.

A frame passes its soft labels of cells on to later frames. FOLDER/.state/FRAME.npz keeps them, so
propagation can start again from any frame with the very same result. It reads the soft labels of
the last `context` frames and of those with a given mask, and computes their features again.
"""

# Shapes: H x W pixels of a frame, h x w cells of the feature map, L object ids.

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from densevos_eval.propagation.both_ways import Span
from densevos_eval.propagation.propagator import Propagator
from densevos_eval.sequences.sequence import VideoSequence

STATE = ".state"
"""Folder of the soft labels. Its name is hidden because users have no use for it."""


def save_soft_labels(folder: Path, frame: str, soft: np.ndarray) -> None:
    """Keep the soft labels of a frame.

    The write is not atomic, because the folder of a sequence gets its name when it is complete.

    Args:
        folder: Where the masks of the sequence are written.
        frame: Name of the frame.
        soft: Labels of cells [L,h,w].
    """
    (folder / STATE).mkdir(exist_ok=True)
    np.savez_compressed(folder / STATE / f"{frame}.npz", soft=soft)


def recalled_frames(span: Span, until: int, given: Collection[int], context: int) -> list[int]:
    """The frames before `until` that later frames use.

    Args:
        span: The frames of the way forward.
        until: The frame from which propagation starts again.
        given: Frames with given masks.
        context: Number of preceding frames that propagation searches.

    Returns:
        The last `context` frames and those with given masks, sorted.
    """
    needed = set(range(max(span.start, until - context), until))
    for frame in given:
        if frame < until:
            needed.add(frame)

    return sorted(needed)


def has_state(sequence: VideoSequence, folder: Path, frames: Collection[int]) -> bool:
    """Whether an earlier run kept the soft labels of these frames in its folder."""
    return all(_file(sequence, folder, frame).is_file() for frame in frames)


def recall(
    propagator: Propagator,
    sequence: VideoSequence,
    folder: Path,
    frames: Collection[int],
    given: Mapping[int, np.ndarray],
    *,
    span: Span,
    until: int,
) -> None:
    """Give a new propagator the state that an earlier run had before the frame `until`.

    Args:
        propagator: A propagator that has taken no frame.
        sequence: The video.
        folder: The folder that the earlier run wrote.
        frames: What `recalled_frames` returned.
        given: The given masks [H,W]. Before `until` they must be those of that run.
        span: The frames that the propagator takes.
        until: The next frame.
    """
    # Frames that are not needed are counted, so the others have the same slots as in that run.
    reader = sequence.frames()
    for index in range(span.start, until):
        if index not in frames:
            propagator.skip()
            continue

        with np.load(_file(sequence, folder, index), allow_pickle=False) as state:
            propagator.recall(reader.read([index])[0], state["soft"], given.get(index))


def copy_files(folder: Path, into: Path, frames: Collection[str]) -> None:
    """Copy all files of some frames: masks, soft masks and soft labels.

    Args:
        folder: The folder of a sequence.
        into: The folder to copy to.
        frames: Names of the frames.
    """
    # All files of a frame are called by its name, with different endings and in different folders.
    names = set(frames)
    for file in folder.rglob("*"):
        if file.is_file() and file.stem in names:
            target = into / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)


def _file(sequence: VideoSequence, folder: Path, frame: int) -> Path:
    """The file of the soft labels of a frame."""
    return folder / STATE / f"{sequence.frame_names[frame]}.npz"
