"""Results to look at: a movie of every sequence, and one overview picture."""

from collections.abc import Callable, Mapping
from pathlib import Path

from PIL import Image

from densevos.base.files import atomic_write
from densevos_eval.drawing.movie import drawn_frames, panels, write_movie
from densevos_eval.drawing.overlay import stacked, titled
from densevos_eval.sequences.sequence import VideoSequence

# The overview shows the frame at this share of a sequence: by then, errors have accumulated.
LATE = 0.8


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

    The columns are the truth, if a sequence has one, and then each result under its title.

    Args:
        sequences: What to draw.
        results: Title -> folder of masks.
        out: Folder of the pictures.
        fps: Frames per second of the movies.
        width: Most pixels of a row of panels.
        movies: Whether to write movies.
        on_frame: Called with the sequence's name after each frame of its movie.

    Raises:
        InputError: A mask is missing.
    """
    # The overview reads one frame of each sequence and movies read all, so it comes first.
    _write_overview(sequences, results, out / "overview.png", width)
    if not movies:
        return

    for sequence in sequences:
        movie = out / f"{sequence.name}.mp4"
        write_movie(sequence, results, movie, fps=fps, width=width, on_frame=on_frame)


def _write_overview(
    sequences: list[VideoSequence], results: Mapping[str, Path], path: Path, width: int
) -> None:
    """One late frame of each sequence, one row for each sequence."""
    rows = []
    for sequence in sequences:
        frames = drawn_frames(sequence)
        index = frames[int(LATE * (len(frames) - 1))]
        image = sequence.frames().read([index])[0]
        row = panels(sequence, results, index, image, width)
        rows.append(titled(row, f"{sequence.name}, frame {sequence.frame_names[index]}"))

    with atomic_write(path) as file:
        Image.fromarray(stacked(rows)).save(file, format="PNG")
