"""Results to look at: movies with truth and results side by side, and one overview picture."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from densevos.data.readers import open_frames
from densevos.errors import InputError
from densevos.files import written_whole
from densevos.masks import read_mask
from densevos_eval.overlay import GAP, even, movie, overlay, side_by_side, stacked, titled
from densevos_eval.sequences import Sequence, merged

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


def _panels(sequence: Sequence, results: Mapping[str, Path], index: int, frame: np.ndarray) -> dict[str, np.ndarray]:
    """Titles and overlays [H,W,3] of one frame."""
    name = f"{sequence.frame_names[index]}.png"
    panels = {"truth": frame} if sequence.truth else {}  # the bare frame where a sparse annotation has none
    files = {title: folder / sequence.name / name for title, folder in results.items()}
    if sequence.truth and (not sequence.annotated or index in sequence.annotated):
        files = {"truth": sequence.truth[index], **files}
    return panels | {title: overlay(frame, _ids(file, sequence, frame)) for title, file in files.items()}


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
    fps: float,
    width: int = 1920,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """One movie of a sequence, with columns as in `show`."""
    reader = open_frames(sequence.source)
    with movie(path, fps) as writer:
        for index in _shown(sequence):
            shown = _panels(sequence, results, index, reader.read([index])[0])
            writer.append_data(even(_row(shown, width)))
            on_frame(sequence.name)


def _row(shown: Mapping[str, np.ndarray], width: int) -> np.ndarray:
    """The panels at their own height, or lower where the row would be wider than `width`."""
    height, panel_width = next(iter(shown.values())).shape[:2]
    room = width - GAP * (len(shown) - 1)
    fitting = max(1, height * room // (panel_width * len(shown)))
    return side_by_side(list(shown.values()), list(shown), min(height, fitting))


def _write_overview(sequences: list[Sequence], results: Mapping[str, Path], path: Path, width: int) -> None:
    rows = []
    for sequence in sequences:
        frames = _shown(sequence)
        index = frames[int(LATE * (len(frames) - 1))]
        shown = _panels(sequence, results, index, open_frames(sequence.source).read([index])[0])
        rows.append(titled(_row(shown, width), f"{sequence.name}, frame {sequence.frame_names[index]}"))
    with written_whole(path) as file:
        Image.fromarray(stacked(rows)).save(file, format="PNG")
