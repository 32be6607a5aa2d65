"""A confusion matrix as a picture: rows are annotated classes, columns predicted ones."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER = (255, 255, 255)
INK = (24, 24, 27)
FAINT = (113, 113, 122)
FULL = np.array((8, 64, 129))
"""Colour of a cell that has all pixels of its row."""

LEGIBLE = 32
"""Most classes whose cells show numbers; with more classes, cells are too small."""

MARGIN = 16


def confusion_picture(pixels: np.ndarray, classes: Sequence[str], title: str = "") -> np.ndarray:
    """Draw a confusion matrix: each cell shows its share of the row's pixels.

    Numbers are per cent of the row. Cells below half a per cent have no number, and rows without
    pixels stay empty. With more than 32 classes, cells have colours but no numbers.

    Args:
        pixels: Numbers of pixels [K,K] by annotated and predicted class.
        classes: Names of the K classes.
        title: Title above the matrix.

    Returns:
        A picture [H,W,3] uint8.
    """
    count = len(classes)
    has_numbers = count <= LEGIBLE
    # Side of a cell and size of the font, in pixels.
    cell, size = (44, 15) if has_numbers else (16, 11)
    font, small = ImageFont.load_default(size=size), ImageFont.load_default(size=size - 2)

    # The longest name needs this much space, both at the left and at the top.
    room = MARGIN + max(int(font.getlength(name)) for name in classes)
    heading = 2 * size + 24
    left, top = room + size + 12, heading + room
    side = count * cell
    width = max(left + side + MARGIN, 2 * MARGIN + int(font.getlength(title)))

    # Headings first: the title, then what columns and rows mean.
    picture = Image.new("RGB", (width, top + side + MARGIN), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, 12), title, font=font, fill=INK)
    draw.text((left, MARGIN + size), "predicted as, % of the row", font=small, fill=FAINT)
    _upright(picture, "annotated as", small, (6, top, side), FAINT)
    for k, name in enumerate(classes):
        draw.text((left - 8, top + (k + 0.5) * cell), name, font=font, fill=INK, anchor="rm")
        _upright(picture, name, font, (left + k * cell, top - room, room - 8), INK, cell)

    # Rows without pixels are not drawn; 1 avoids a division by 0 for them.
    shares = pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    number_font = small if has_numbers else None
    for i, j in np.ndindex(count, count):
        if pixels[i].any():
            corner = (left + j * cell, top + i * cell)
            _cell(draw, corner, cell, shares[i, j], number_font)

    draw.rectangle((left - 1, top - 1, left + side, top + side), outline=FAINT)
    return np.asarray(picture)


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _cell(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], side: int, share: float, font: Font | None
) -> None:
    """Draw a square tinted by its share, with the number in it if there is a font."""
    x, y = corner
    # The tint goes linearly from white to the full colour.
    tint = np.array(PAPER) + share * (FULL - PAPER)
    colour = tuple(tint.round().astype(int).tolist())
    draw.rectangle((x, y, x + side - 2, y + side - 2), fill=colour)

    # A smaller share would be printed as 0.
    if font and share >= 0.005:
        ink = PAPER if share > 0.5 else INK
        middle = (x + side / 2, y + side / 2)
        draw.text(middle, f"{100 * share:.0f}", font=font, fill=ink, anchor="mm")


def _upright(
    picture: Image.Image,
    text: str,
    font: Font,
    place: tuple[int, int, int],
    ink: tuple[int, int, int],
    width: int | None = None,
) -> None:
    """Draw text that reads upwards from the foot of a strip.

    place: Left, top and height of the strip. width: Its width, in which the text is centred.
    """
    x, y, height = place
    text_length, text_height = int(font.getlength(text)) + 4, int(font.getbbox(text)[3]) + 4
    # Text is drawn flat on a strip of its own, which is then turned.
    line = Image.new("RGB", (text_length, text_height), PAPER)
    ImageDraw.Draw(line).text((0, 0), text, font=font, fill=ink)

    turned = line.rotate(90, expand=True)
    indent = ((width or text_height) - text_height) // 2
    picture.paste(turned, (x + indent, y + height - text_length))
