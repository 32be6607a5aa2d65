"""What the colours of a mask stand for."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from densevos_eval.drawing.overlay import BACKDROP, INK, bright_palette

SIZE = 13
LINE = SIZE + 9
SPACE = 14


def legend(names: Mapping[int, str], width: int) -> np.ndarray:
    """A strip [h,width,3] uint8 with a patch of the colour of each id beside its name, in as many
    lines as needed.
    """
    font = ImageFont.load_default(size=SIZE)
    places, x, line = {}, SPACE // 2, 0
    for id, name in names.items():
        long = SIZE + 6 + int(font.getlength(name)) + SPACE
        if x + long > width and x > SPACE:
            x, line = SPACE // 2, line + 1
        places[id], x = (x, line * LINE + 5), x + long

    strip = Image.new("RGB", (width, (line + 1) * LINE + 4), BACKDROP)
    draw, colours = ImageDraw.Draw(strip), bright_palette()
    for id, (x, y) in places.items():
        draw.rectangle((x, y, x + SIZE, y + SIZE), fill=tuple(colours[id].tolist()), outline=INK)
        draw.text((x + SIZE + 6, y + SIZE / 2), names[id], font=font, fill=INK, anchor="lm")

    return np.asarray(strip)
