"""A legend: the names of the colours in a mask."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from densevos_eval.drawing.overlay import BACKDROP, INK, bright_palette

# All in pixels: text and patch, distance of lines, and space between entries.
SIZE = 13
LINE = SIZE + 9
SPACE = 14
GAP = 6


def legend(names: Mapping[int, str], width: int) -> np.ndarray:
    """Draw a patch of each id's colour beside its name, in as many lines as needed.

    Args:
        names: Id -> name.
        width: Width of the strip, in pixels.

    Returns:
        A picture [h,width,3] uint8.
    """
    font = ImageFont.load_default(size=SIZE)
    # Places first: the height of the strip depends on the number of lines.
    places = {}
    x, line = SPACE // 2, 0
    for id, name in names.items():
        length = SIZE + GAP + int(font.getlength(name)) + SPACE
        # A name that is longer than a line has a line of its own.
        if x + length > width and x > SPACE:
            x, line = SPACE // 2, line + 1

        places[id] = (x, line * LINE + 5)
        x += length

    strip = Image.new("RGB", (width, (line + 1) * LINE + 4), BACKDROP)
    draw = ImageDraw.Draw(strip)
    colours = bright_palette()
    for id, (x, y) in places.items():
        colour = tuple(colours[id].tolist())
        draw.rectangle((x, y, x + SIZE, y + SIZE), fill=colour, outline=INK)
        draw.text((x + SIZE + GAP, y + SIZE / 2), names[id], font=font, fill=INK, anchor="lm")

    return np.asarray(strip)
