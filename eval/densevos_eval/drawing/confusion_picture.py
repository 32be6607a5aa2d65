"""A confusion matrix as a picture: rows are what pixels are, columns what they are taken for."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

PAPER = (255, 255, 255)
INK = (24, 24, 27)
FAINT = (113, 113, 122)
FULL = np.array((8, 64, 129))  # the colour of a cell that holds its whole row
LEGIBLE = 32  # Classes; with more of them cells are too small for numbers.


def confusion_picture(pixels: np.ndarray, classes: Sequence[str], title: str = "") -> np.ndarray:
    """Confusion matrix [K,K] of pixels -> picture [H,W,3] uint8: the share of each row that each
    column has.

    Numbers are per cent of the row; cells below a half per cent have none, and rows without pixels
    are left empty. With more than 32 classes colours alone tell.
    """
    count = len(classes)
    numbered = count <= LEGIBLE
    cell, size = (44, 15) if numbered else (16, 11)
    font, small = (ImageFont.load_default(size=points) for points in (size, size - 2))
    room = 16 + max(
        int(font.getlength(name)) for name in classes
    )  # for the names at the left and at the top
    heading = 2 * size + 24
    left, top = room + size + 12, heading + room
    width = max(left + count * cell + 16, 2 * 16 + int(font.getlength(title)))
    picture = Image.new("RGB", (width, top + count * cell + 16), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((16, 12), title, font=font, fill=INK)
    draw.text((left, 16 + size), "predicted as, % of the row", font=small, fill=FAINT)
    _upright(picture, "annotated as", small, (6, top, count * cell), FAINT)
    for k, name in enumerate(classes):
        draw.text((left - 8, top + (k + 0.5) * cell), name, font=font, fill=INK, anchor="rm")
        _upright(picture, name, font, (left + k * cell, top - room, room - 8), INK, cell)

    shares = pixels / np.maximum(pixels.sum(axis=1, keepdims=True), 1)
    for i, j in np.ndindex(count, count):
        if pixels[i].any():
            _cell(
                draw,
                (left + j * cell, top + i * cell),
                cell,
                shares[i, j],
                small if numbered else None,
            )

    draw.rectangle((left - 1, top - 1, left + count * cell, top + count * cell), outline=FAINT)
    return np.asarray(picture)


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _cell(
    draw: ImageDraw.ImageDraw, corner: tuple[int, int], side: int, share: float, font: Font | None
) -> None:
    """A square tinted by its share, with the share in it where there is a font and something to
    say.
    """
    x, y = corner
    tint = np.array(PAPER) + share * (FULL - PAPER)
    draw.rectangle(
        (x, y, x + side - 2, y + side - 2), fill=tuple(tint.round().astype(int).tolist())
    )

    if font and share >= 0.005:
        ink = PAPER if share > 0.5 else INK
        draw.text(
            (x + side / 2, y + side / 2), f"{100 * share:.0f}", font=font, fill=ink, anchor="mm"
        )


def _upright(
    picture: Image.Image,
    text: str,
    font: Font,
    place: tuple[int, int, int],
    ink: tuple[int, int, int],
    width: int | None = None,
) -> None:
    """Text that reads upwards, ending at the foot of a strip (x, y, height), in the middle of its
    width, if given.
    """
    x, y, height = place
    long, high = int(font.getlength(text)) + 4, int(font.getbbox(text)[3]) + 4
    line = Image.new("RGB", (long, high), PAPER)
    ImageDraw.Draw(line).text((0, 0), text, font=font, fill=ink)
    turned = line.rotate(90, expand=True)
    picture.paste(turned, (x + ((width or high) - high) // 2, y + height - long))
