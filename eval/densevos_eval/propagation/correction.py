"""Going on from a corrected frame: what the frames before it left behind on disk, and how
propagation takes it up.

A frame hands its soft labels of cells on to later frames. FOLDER/.state/FRAME.npz keeps them, so
that propagation through a video can start again from any frame, with the very same result: features
are computed again, of the last `context` frames and of those with a given mask; soft labels are
read.
"""

import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from densevos_eval.propagation.both_ways import Span
from densevos_eval.propagation.propagator import Propagator
from densevos_eval.sequences.sequence import VideoSequence

STATE = ".state"


def save_soft_labels(folder: Path, frame: str, soft: np.ndarray) -> None:
    """Keep the soft labels [L,h,w] of a frame in the folder of a sequence's masks, which is hidden
    until complete.
    """
    (folder / STATE).mkdir(exist_ok=True)
    np.savez_compressed(folder / STATE / f"{frame}.npz", soft=soft)


def recalled_frames(span: Span, until: int, given: Collection[int], context: int) -> list[int]:
    """The frames of a span that those from `until` on look at: with given masks, and the last
    `context` ones.
    """
    recent = range(max(span.start, until - context), until)
    return sorted({*recent, *(frame for frame in given if frame < until)})


def has_state(sequence: VideoSequence, folder: Path, frames: Collection[int]) -> bool:
    """Whether an earlier run kept the soft labels of these frames."""
    return all(
        (folder / STATE / f"{sequence.frame_names[frame]}.npz").is_file() for frame in frames
    )


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
    """Bring a new propagator to where that of an earlier run was before it took the frame `until`.

    Args:
        propagator: One that has taken no frame.
        sequence: The video.
        folder: What the earlier run wrote.
        frames: Those of `recalled_frames`.
        given: The given masks [H,W], which before `until` are those of that run.
        span: The way that the propagator goes.
        until: The next frame.
    """
    reader = sequence.frames()
    for index in range(span.start, until):
        if index not in frames:
            propagator.skip()
            continue

        with np.load(
            folder / STATE / f"{sequence.frame_names[index]}.npz", allow_pickle=False
        ) as state:
            propagator.recall(reader.read([index])[0], state["soft"], given.get(index))


def copy_files(folder: Path, into: Path, frames: Collection[str]) -> None:
    """Copy all files that belong to these frames: masks, soft masks, and what propagation goes on
    from.
    """
    names = set(frames)
    for file in folder.rglob("*"):
        if file.is_file() and file.stem in names:
            target = into / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, target)
