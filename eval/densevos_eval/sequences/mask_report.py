"""What there is to say of painted masks: colours by name, rounded pixels, masks that look
inverted.
"""

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
NAMED = 80  # Distance of RGB within which a colour has a name.
MOST_OF_FRAME, MOST_OF_BORDER = (
    0.5,
    0.75,
)  # An object with more of both than this may be the background.


def colour_text(colour: int) -> str:
    """A colour in words, as far as it has a name, and numbers: red (255, 0, 0)."""
    numbers = "({}, {}, {})".format(*as_rgb(np.array([colour]))[0])
    apart = distances(np.array([colour]), np.array(list(NAMES.values())))[0]
    return f"{list(NAMES)[apart.argmin()]} {numbers}" if apart.min() <= NAMED else numbers


def rounded_lines(files: Sequence[Path], pictures: Sequence[MaskPicture]) -> Iterator[str]:
    """One line on all pixels that have the nearest colour instead of their own."""
    rounded = [
        (file, picture.rounded)
        for file, picture in zip(files, pictures, strict=True)
        if picture.rounded
    ]

    if rounded:
        file, count = rounded[0]
        others = (
            f", as in {len(rounded) - 1} other{'s' if len(rounded) > 2 else ''}"
            if len(rounded) > 1
            else ""
        )
        yield f"{file}: {count:,} pixels of soft edges or rounded colours count as the nearest colour{others}"


def inverted_lines(files: Sequence[Path], masks: Sequence[np.ndarray]) -> Iterator[str]:
    """A line on the first mask whose object looks like the background."""
    for file, mask in zip(files, masks, strict=True):
        border = np.concatenate([mask[0], mask[-1], mask[1:-1, 0], mask[1:-1, -1]])
        counts = np.bincount(mask.ravel(), minlength=2)
        id = int(counts[1:].argmax()) + 1
        of_frame, of_border = counts[id] / mask.size, float((border == id).mean())

        if of_frame > MOST_OF_FRAME and of_border > MOST_OF_BORDER:
            yield (
                f"{file}: object {id} covers {of_frame:.0%} of the frame and {of_border:.0%} of its border; if it is"
                " the background, invert the mask: objects in white or colours, background black"
            )

            return
