"""Masks of a sequence drawn over its frames, truth and results side by side, as a movie."""

# Shapes: H x W pixels of a frame; frames are [H,W,3] uint8 RGB, masks [H,W] uint8 ids.

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
    """Draw the masks of one frame: a panel for the truth, if there is one, and for each result.

    Args:
        sequence: The sequence.
        results: Title -> folder of masks. A single result with the title "" has no bar above it.
        index: Index of the frame.
        frame: The frame [H,W,3] uint8.
        width: Most pixels of the row. Panels have the frame's height, or less if the row would
            otherwise be wider or higher than this.
        background: Whether id 0 is background, which stays uncoloured.

    Returns:
        A picture [h,w,3] uint8.

    Raises:
        InputError: A mask is missing or unreadable.
    """
    # Every mask is brought to the frame's size, whatever size it was written at.
    name = sequence.frame_names[index]
    masks = {}
    for title, folder in results.items():
        mask = read_mask(mask_file(folder / sequence.name, name))
        masks[title] = _ids(mask, sequence, frame)

    if sequence.truth:
        # Some benchmarks annotate only some of their frames; the others have an empty panel.
        truth = np.zeros(frame.shape[:2], np.uint8)
        if not sequence.annotated or index in sequence.annotated:
            truth = _ids(sequence.reader(sequence.truth[index]), sequence, frame)

        masks = {"truth": truth, **masks}

    full_height, full_width = frame.shape[:2]
    panel_width = (width - GAP * (len(masks) - 1)) // len(masks)
    height = max(1, min(full_height, full_height * panel_width // full_width, width))

    # Scaled before masks are drawn: contours stay sharp, and large frames take less time.
    frame = scaled_to(frame, height)
    panels = []
    for ids in masks.values():
        ids = resized_ids(ids, (height, frame.shape[1]))
        panels.append(overlay(frame, ids, background=background))

    # One's own video has a single result, which needs no title.
    if list(masks) == [""]:
        return panels[0]

    return side_by_side(panels, list(masks), height)


def drawn_frames(sequence: VideoSequence) -> list[int]:
    """Indices of the frames that have masks."""
    return [index for index, name in enumerate(sequence.frame_names) if name in sequence.written]


def _ids(ids: np.ndarray, sequence: VideoSequence, frame: np.ndarray) -> np.ndarray:
    """The mask at the size of its frame; --mask-size and some presets write other sizes."""
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
    """Write the movie of a sequence, with columns as in `panels`.

    Args:
        sequence: The sequence.
        results: Title -> folder of masks.
        path: The movie's file.
        fps: Frames per second; None for the source's own rate, or 24 for a folder of frames.
        width: Most pixels of a row of panels.
        background: Whether id 0 is background, which stays uncoloured.
        on_frame: Called with the sequence's name after each frame.

    Raises:
        InputError: A mask is missing or unreadable.
    """
    # Frames are read one by one, so that memory does not grow with the video.
    reader = sequence.frames()
    with movie(path, fps or frame_rate(reader) or 24) as writer:
        for index in drawn_frames(sequence):
            frame = reader.read([index])[0]
            picture = panels(sequence, results, index, frame, width, background)
            writer.append_data(even(picture))
            on_frame(sequence.name)
