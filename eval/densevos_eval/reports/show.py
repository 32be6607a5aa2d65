"""Results to look at: a movie of every sequence, and one overview picture."""

from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from densevos.base.files import atomic_write
from densevos_eval.drawing.movie import drawn_frames, panels, write_movie
from densevos_eval.drawing.overlay import stacked, titled
from densevos_eval.sequences.sequence import VideoSequence

LATE = (
    0.8  # The overview shows the frame at this share of a sequence: errors have had time to gather.
)


def show(
    sequences: list[VideoSequence],
    results: Mapping[str, Path],
    out: Path,
    *,
    fps: float = 12,
    width: int = 1920,
    movies: bool = True,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """Write OUT/overview.png and, with `movies`, OUT/SEQUENCE.mp4 of every sequence.

    The columns are the truth, where a sequence has one, then every folder of `results` under its
    title; a row of them is at most `width` pixels wide. `on_frame` is called with the sequence's
    name after each frame of its movie. Raises InputError naming a mask that is missing.
    """
    _write_overview(sequences, results, out / "overview.png", width)
    for sequence in sequences if movies else []:
        write_movie(
            sequence, results, out / f"{sequence.name}.mp4", fps=fps, width=width, on_frame=on_frame
        )


def _write_overview(
    sequences: list[VideoSequence], results: Mapping[str, Path], path: Path, width: int
) -> None:
    rows = []
    for sequence in sequences:
        frames = drawn_frames(sequence)
        index = frames[int(LATE * (len(frames) - 1))]
        row = panels(sequence, results, index, sequence.frames().read([index])[0], width)
        rows.append(titled(row, f"{sequence.name}, frame {sequence.frame_names[index]}"))

    with atomic_write(path) as file:
        Image.fromarray(stacked(rows)).save(file, format="PNG")
