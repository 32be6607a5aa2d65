"""Reports on painted masks: names of colours, rounded pixels, masks that look inverted."""

# Shapes: H x W pixels of a mask.

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from densevos_eval.sequences.flat_colours import MaskPicture, as_rgb, distances

NAMES = {
    "red": 0xFF0000,
    "green": 0x00FF00,
    "blue": 0x0000FF,
    "yellow": 0xFFFF00,
    "magenta": 0xFF00FF,
    "cyan": 0x00FFFF,
    "white": 0xFFFFFF,
    "orange": 0xFF8000,
}
NAMED = 80  # Largest distance in RGB at which a colour gets one of these names.

# An object that covers more than both of these shares may be the background.
MOST_OF_FRAME = 0.5
MOST_OF_BORDER = 0.75


def colour_text(colour: int) -> str:
    """Describe a colour 0xRRGGBB by its name, if it has one, and its numbers: red (255, 0, 0)."""
    red, green, blue = as_rgb(np.array([colour]))[0]
    numbers = f"({red}, {green}, {blue})"

    apart = distances(np.array([colour]), np.array(list(NAMES.values())))[0]
    if apart.min() > NAMED:
        return numbers

    return f"{list(NAMES)[apart.argmin()]} {numbers}"


def rounded_lines(files: Sequence[Path], pictures: Sequence[MaskPicture]) -> Iterator[str]:
    """Report pixels that count as the nearest colour instead of their own, in at most one line.

    Args:
        files: the masks' files.
        pictures: what each file holds.

    Yields:
        A line on the first mask with such pixels, with the number of other masks that have some.
    """
    rounded = []
    for file, picture in zip(files, pictures, strict=True):
        if picture.rounded:
            rounded.append((file, picture.rounded))

    if not rounded:
        return

    file, count = rounded[0]
    others = ""
    if len(rounded) == 2:
        others = ", as in 1 other"
    elif len(rounded) > 2:
        others = f", as in {len(rounded) - 1} others"

    yield (
        f"{file}: {count:,} pixels of soft edges or rounded colours count as the nearest colour"
        f"{others}"
    )


def inverted_lines(files: Sequence[Path], masks: Sequence[np.ndarray]) -> Iterator[str]:
    """Report the first mask in which an object looks like the background, in at most one line.

    Args:
        files: the masks' files.
        masks: ids [H,W] uint8 of each file.

    Yields:
        The warning.
    """
    for file, mask in zip(files, masks, strict=True):
        # Each pixel of the border once: top, bottom, and the sides between them.
        border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
        counts = np.bincount(mask.ravel(), minlength=2)
        id = int(counts[1:].argmax()) + 1
        of_frame, of_border = counts[id] / mask.size, float((border == id).mean())

        if of_frame > MOST_OF_FRAME and of_border > MOST_OF_BORDER:
            yield (
                f"{file}: object {id} covers {of_frame:.0%} of the frame and {of_border:.0%} of its"
                " border; if it is the background, invert the mask: objects in white or colours,"
                " background black"
            )

            return
