"""Results to look at: movies with truth and results side by side, and one overview picture."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import written_whole
from densevos.base.masks import read_mask
from densevos.data.sources.source import frame_rate
from densevos_eval.drawing.overlay import GAP, even, movie, overlay, scaled_to, side_by_side, stacked, titled
from densevos_eval.sequences import Sequence, merged, resized_ids

LATE = 0.8  # The overview shows the frame at this share of a sequence: errors have had time to gather.


def show(
    sequences: list[Sequence],
    results: Mapping[str, Path],
    out: Path,
    *,
    fps: float = 12,
    width: int = 1920,
    movies: bool = True,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """Write OUT/overview.png and, with `movies`, OUT/SEQUENCE.mp4 of every sequence.

    The columns are the truth, where a sequence has one, then every folder of `results` under its title; a
    row of them is at most `width` pixels wide. `on_frame` is called with the sequence's name after each
    frame of its movie. Raises InputError naming a mask that is missing or of another size.
    """
    _write_overview(sequences, results, out / "overview.png", width)
    for sequence in sequences if movies else []:
        write_movie(sequence, results, out / f"{sequence.name}.mp4", fps=fps, width=width, on_frame=on_frame)


def _row(
    sequence: Sequence,
    results: Mapping[str, Path],
    index: int,
    frame: np.ndarray,
    width: int,
    background: bool = True,
) -> np.ndarray:
    """One frame [H,W,3] under its masks: a panel for the truth, if there is one, and for each of the results.

    The panels have the frame's height, or less where the row would be wider or higher than `width`.
    """
    name = f"{sequence.frame_names[index]}.png"
    masks = {title: _ids(folder / sequence.name / name, sequence, frame) for title, folder in results.items()}
    if sequence.truth:
        annotated = not sequence.annotated or index in sequence.annotated
        truth = _ids(sequence.truth[index], sequence, frame) if annotated else np.zeros(frame.shape[:2], np.uint8)
        masks = {"truth": truth, **masks}
    room = (width - GAP * (len(masks) - 1)) // len(masks)
    height = max(1, min(frame.shape[0], frame.shape[0] * room // frame.shape[1], width))
    frame = scaled_to(frame, height)  # before masks are drawn: contours stay sharp, and large frames cost less
    small = (resized_ids(ids, (height, frame.shape[1])) for ids in masks.values())
    panels = [overlay(frame, ids, background=background) for ids in small]
    return panels[0] if list(masks) == [""] else side_by_side(panels, list(masks), height)


def _shown(sequence: Sequence) -> list[int]:
    """Indices of the frames that have masks."""
    return [index for index, name in enumerate(sequence.frame_names) if name in sequence.written]


def _ids(file: Path, sequence: Sequence, frame: np.ndarray) -> np.ndarray:
    ids = read_mask(file)
    if ids.shape != frame.shape[:2]:
        raise InputError(
            f"{file}: mask is {ids.shape[1]}x{ids.shape[0]} but its frame is {frame.shape[1]}x{frame.shape[0]};"
            " propagate the sequence again"
        )
    return merged(ids) if sequence.merge_objects else ids


def write_movie(
    sequence: Sequence,
    results: Mapping[str, Path],
    path: Path,
    *,
    fps: float | None,
    width: int = 1920,
    background: bool = True,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """One movie of a sequence, with columns as in `show`; without `fps` as fast as the source, a folder at 24.

    background: whether id 0 of masks is background, which is left as it is.
    """
    reader = sequence.frames()
    with movie(path, fps or frame_rate(reader) or 24) as writer:
        for index in _shown(sequence):
            writer.append_data(even(_row(sequence, results, index, reader.read([index])[0], width, background)))
            on_frame(sequence.name)


def _write_overview(sequences: list[Sequence], results: Mapping[str, Path], path: Path, width: int) -> None:
    rows = []
    for sequence in sequences:
        frames = _shown(sequence)
        index = frames[int(LATE * (len(frames) - 1))]
        row = _row(sequence, results, index, sequence.frames().read([index])[0], width)
        rows.append(titled(row, f"{sequence.name}, frame {sequence.frame_names[index]}"))
    with written_whole(path) as file:
        Image.fromarray(stacked(rows)).save(file, format="PNG")
