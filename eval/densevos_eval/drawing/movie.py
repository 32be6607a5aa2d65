"""Masks of a whole sequence drawn over its frames, truth and results side by side, as a movie."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from densevos.base.masks import read_mask
from densevos.base.names import mask_file
from densevos.data.sources.source import frame_rate
from densevos_eval.drawing.movie_file import movie
from densevos_eval.drawing.overlay import GAP, even, overlay, scaled_to, side_by_side
from densevos_eval.sequences.sequence import VideoSequence, merged, resized_ids


def panels(
    sequence: VideoSequence,
    results: Mapping[str, Path],
    index: int,
    frame: np.ndarray,
    width: int,
    background: bool = True,
) -> np.ndarray:
    """One frame [H,W,3] under its masks: a panel for the truth, if there is one, and for each of
    the results.

    The panels have the frame's height, or less where the row would be wider or higher than `width`.
    """
    name = sequence.frame_names[index]
    files = {title: mask_file(folder / sequence.name, name) for title, folder in results.items()}
    masks = {title: _ids(read_mask(file), sequence, frame) for title, file in files.items()}

    if sequence.truth:
        annotated = not sequence.annotated or index in sequence.annotated
        truth = np.zeros(frame.shape[:2], np.uint8)
        if annotated:
            truth = _ids(sequence.reader(sequence.truth[index]), sequence, frame)

        masks = {"truth": truth, **masks}

    room = (width - GAP * (len(masks) - 1)) // len(masks)
    height = max(1, min(frame.shape[0], frame.shape[0] * room // frame.shape[1], width))
    frame = scaled_to(
        frame, height
    )  # before masks are drawn: contours stay sharp, and large frames cost less
    small = (resized_ids(ids, (height, frame.shape[1])) for ids in masks.values())
    panels = [overlay(frame, ids, background=background) for ids in small]

    return panels[0] if list(masks) == [""] else side_by_side(panels, list(masks), height)


def drawn_frames(sequence: VideoSequence) -> list[int]:
    """Indices of the frames that have masks."""
    return [index for index, name in enumerate(sequence.frame_names) if name in sequence.written]


def _ids(ids: np.ndarray, sequence: VideoSequence, frame: np.ndarray) -> np.ndarray:
    """The mask at the size of its frame, which --mask-size and some presets do not keep."""
    ids = resized_ids(ids, (frame.shape[0], frame.shape[1]))
    return merged(ids) if sequence.merge_objects else ids


def write_movie(
    sequence: VideoSequence,
    results: Mapping[str, Path],
    path: Path,
    *,
    fps: float | None,
    width: int = 1920,
    background: bool = True,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """One movie of a sequence, with columns as in `panels`; without `fps` as fast as the source, a
    folder at 24.

    background: whether id 0 of masks is background, which is left as it is.
    """
    reader = sequence.frames()
    with movie(path, fps or frame_rate(reader) or 24) as writer:
        for index in drawn_frames(sequence):
            writer.append_data(
                even(panels(sequence, results, index, reader.read([index])[0], width, background))
            )
            on_frame(sequence.name)
