"""What MuG sees and what it returns, side by side: one image with a row for each sequence.

    python benchmarks/experiments/mug_dev/look.py --frames FRAMES --maps MAPS [--size 160]
        [--cell 8] [--found NAME=MASKS ...] [--truth ANNOTATIONS] [--sequences a b] --out look.png

A row shows the middle frame of a sequence (`--at` chooses another part of it), the foreground map
that the network learns from, this map on the cells of the network (the share of foreground in
each), and the masks of every given folder. Foreground is red, and what a map does not know is blue.
With --truth the head of each column has its mean J over the shown sequences, all frames counted,
and each image carries the J of its own frame.

FRAMES, MAPS, MASKS and ANNOTATIONS hold one folder a sequence: SEQUENCE/FRAME.jpg or .png. A folder
of annotations may have other numbers of pixels.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from densevos.base.masks import VOID, read_mask

# Pixels of a shown frame and of the line above the images; colours in RGB.
WIDTH, HEIGHT, HEADER = 320, 180, 18
RED, BLUE = np.array([255, 40, 40]), np.array([60, 90, 255])


@dataclass(frozen=True)
class Column:
    """One kind of masks.

    Args:
        title: its head.
        folder: the masks, SEQUENCE/FRAME.png.
        cells: show shares of so many cells along each side instead of the masks.
    """

    title: str
    folder: Path
    cells: int | None = None


def picture(
    frames: Path, columns: Sequence[Column], truth: Path | None, sequences: Sequence[str], at: float
) -> Image.Image:
    """All rows and columns, with a header."""
    wide, high = WIDTH * (1 + len(columns)), HEADER + HEIGHT * len(sequences)
    canvas = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(canvas)
    draw.text((4, 3), "frame", fill="black")

    # Column 0 has the frames, so those of masks begin at 1.
    for k, column in enumerate(columns, 1):
        title = column.title
        if truth:
            means = [mean_overlap(column, truth, name) for name in sequences]
            title += f"  J {100 * np.nanmean(means):.1f}"

        draw.text((4 + k * WIDTH, 3), title, fill="black")

    for row, name in enumerate(sequences):
        # `at` is a part of the sequence, 0 for its first frame and 1 for its last.
        files = sorted((frames / name).iterdir())
        file = files[min(int(at * len(files)), len(files) - 1)]
        with Image.open(file) as opened:
            frame = np.asarray(opened.convert("RGB").resize((WIDTH, HEIGHT)))

        y = HEADER + row * HEIGHT
        canvas.paste(Image.fromarray(frame), (0, y))
        draw.text((4, y + 2), name, fill="yellow")

        for k, column in enumerate(columns, 1):
            foreground, unknown = shares(column, name, file.stem)
            canvas.paste(Image.fromarray(painted(frame, foreground, unknown)), (k * WIDTH, y))
            if truth:
                score = f"{100 * overlap(column, truth, name, file.stem):.0f}"
                draw.text((4 + k * WIDTH, y + 2), score, fill="yellow")

    return canvas


def shares(column: Column, name: str, frame: str) -> tuple[np.ndarray, np.ndarray]:
    """Share of foreground and of what is unknown, [H,W] float of the shown size.

    Both are zero where there is no mask.
    """
    file = column.folder / name / f"{frame}.png"
    if not file.is_file():
        return np.zeros((HEIGHT, WIDTH)), np.zeros((HEIGHT, WIDTH))

    ids = read_mask(file)
    foreground, unknown = (ids == 1).astype(np.float32), (ids == VOID).astype(np.float32)
    if column.cells:
        foreground, unknown = on_grid(foreground, column.cells), on_grid(unknown, column.cells)

    return enlarged(foreground), enlarged(unknown)


def on_grid(share: np.ndarray, cells: int) -> np.ndarray:
    """A map [H,W] averaged over so many cells a side."""
    return np.asarray(Image.fromarray(share).resize((cells, cells), Image.Resampling.BOX))


def enlarged(share: np.ndarray) -> np.ndarray:
    """A map at the shown size."""
    return np.asarray(Image.fromarray(share).resize((WIDTH, HEIGHT), Image.Resampling.NEAREST))


def painted(frame: np.ndarray, foreground: np.ndarray, unknown: np.ndarray) -> np.ndarray:
    """A frame [H,W,3] uint8 with foreground in red and what is unknown in blue."""
    # With less contrast than the frame itself, so that the colours stand out.
    pale = 0.6 * frame + 40
    for share, colour in ((foreground, RED), (unknown, BLUE)):
        weight = 0.7 * share[..., None]
        pale = (1 - weight) * pale + weight * colour

    return pale.clip(0, 255).astype(np.uint8)


def overlap(column: Column, truth: Path, name: str, frame: str) -> float:
    """J of one frame; nan where one of the two has no file."""
    file = column.folder / name / f"{frame}.png"
    annotation = truth / name / f"{frame}.png"
    if not (file.is_file() and annotation.is_file()):
        return np.nan

    real = read_mask(annotation) > 0
    share = (read_mask(file) == 1).astype(np.float32)
    if column.cells:
        share = on_grid(share, column.cells)

    # Annotations may have other numbers of pixels than maps.
    size = (real.shape[1], real.shape[0])
    mask = np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BILINEAR)) > 0.5

    # Two empty masks agree.
    union = np.count_nonzero(mask | real)
    return np.count_nonzero(mask & real) / union if union else 1.0


def mean_overlap(column: Column, truth: Path, name: str) -> float:
    """Mean J over the frames of a sequence without the first and the last, as DAVIS-2016 counts."""
    frames = sorted(file.stem for file in (truth / name).glob("*.png"))[1:-1]
    return float(np.nanmean([overlap(column, truth, name, frame) for frame in frames]))


def main() -> None:
    """Read the command line and write the image."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--frames", type=Path, required=True)
    parser.add_argument("--maps", type=Path, required=True)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--cell", type=int, default=8)
    parser.add_argument("--found", nargs="*", default=[])
    parser.add_argument("--truth", type=Path)
    parser.add_argument("--sequences", nargs="*")
    parser.add_argument("--at", type=float, default=0.5)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()

    cells = given.size // given.cell
    columns = [
        Column("maps", given.maps),
        Column(f"maps on {cells}x{cells} cells", given.maps, cells),
    ]
    for pair in given.found:
        title, folder = pair.split("=", 1)
        columns.append(Column(title, Path(folder)))

    names = given.sequences
    if not names:
        names = sorted(folder.name for folder in given.frames.iterdir() if folder.is_dir())

    picture(given.frames, columns, given.truth, names, given.at).save(given.out)


if __name__ == "__main__":
    main()
