"""Masks drawn over frames, and titled panels side by side."""

# Shapes: H x W pixels of a frame; frames are [H,W,3] uint8 RGB, masks [H,W] uint8 ids.

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from densevos.base.masks import PALETTE

OPACITY = 0.5
GAP = 4  # pixels between panels
BACKDROP = (24, 24, 27)
INK = (235, 235, 235)


def overlay(
    frame: np.ndarray,
    ids: np.ndarray,
    *,
    background: bool = True,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """Tint each object of a frame in its colour, inside a bright contour.

    Args:
        frame: [H,W,3] uint8 RGB.
        ids: Ids [H,W] of the objects.
        background: Whether id 0 is background, which stays uncoloured.
        colours: RGB [256,3] uint8 of each id; None for those of `bright_palette`.

    Returns:
        A picture [H,W,3] uint8.
    """
    if colours is None:
        colours = bright_palette()

    colours = colours[ids]  # [H,W,3]
    tinted = ((1 - OPACITY) * frame + OPACITY * colours).astype(np.uint8)
    shown = ids > 0 if background else np.ones_like(ids, dtype=bool)

    # Contours of 2 pixels at 480p, and in proportion at other sizes.
    thickness = max(1, round(min(frame.shape[:2]) / 240))
    edge = shown & _contour(ids, thickness=thickness)

    # The contour goes over the tint, in the colour at full strength.
    filled = np.where(shown[..., None], tinted, frame)
    return np.where(edge[..., None], colours, filled)


def side_by_side(panels: Sequence[np.ndarray], titles: Sequence[str], height: int) -> np.ndarray:
    """Put panels into one row, each below its title.

    Args:
        panels: Pictures [H,W,3] uint8 of any size.
        titles: A title for each panel.
        height: Height that panels are scaled to.

    Returns:
        A picture [h,w,3] uint8.
    """
    # Panels are scaled before they get titles, so that all bars have the same height.
    row: list[np.ndarray] = []
    for panel, title in zip(panels, titles, strict=True):
        with_title = titled(scaled_to(panel, height), title)
        if row:
            row.append(np.full((with_title.shape[0], GAP, 3), BACKDROP, np.uint8))

        row.append(with_title)

    return np.concatenate(row, axis=1)


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Put pictures [H,W,3] of any width below one another, centred."""
    # The widest row fixes the width, and the others get margins at both sides.
    width = max(row.shape[1] for row in rows)
    framed = []
    for row in rows:
        missing = width - row.shape[1]
        sides = (missing // 2, (missing + 1) // 2)
        framed.append(_framed(row, ((0, GAP), sides)))

    # No gap below the last one.
    return np.concatenate(framed, axis=0)[:-GAP]


def titled(panel: np.ndarray, title: str) -> np.ndarray:
    """Put a bar with a title above a panel [H,W,3]."""
    height, width = panel.shape[:2]
    bar_height = max(16, height // 12)
    bar = Image.new("RGB", (width, bar_height), BACKDROP)
    font = ImageFont.load_default(size=round(0.68 * bar_height))
    middle = (width / 2, bar_height / 2)
    ImageDraw.Draw(bar).text(middle, title, fill=INK, font=font, anchor="mm")

    return np.concatenate([np.asarray(bar), panel], axis=0)


def scaled_to(picture: np.ndarray, height: int) -> np.ndarray:
    """Scale a picture [H,W,3] to a height; its aspect ratio is kept."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    # Averaging areas avoids the aliasing of smaller pictures.
    method = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=method)


def even(picture: np.ndarray) -> np.ndarray:
    """Pad a picture to even sides, which the pixel format yuv420p requires."""
    height, width = picture.shape[:2]
    return _framed(picture, ((0, height % 2), (0, width % 2)))


def _framed(picture: np.ndarray, sides: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    """The picture with a border of (top, bottom), (left, right) pixels."""
    height, width = picture.shape[:2]
    (top, bottom), (left, right) = sides
    canvas = np.full((top + height + bottom, left + width + right, 3), BACKDROP, np.uint8)
    canvas[top : top + height, left : left + width] = picture

    return canvas


def _contour(ids: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels [H,W] bool that are at most `thickness` pixels away from another id."""
    # An id changes under erosion or dilation only where another id lies within the disc.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1,) * 2)
    contour: np.ndarray = (cv2.erode(ids, disc) != ids) | (cv2.dilate(ids, disc) != ids)
    return contour


def bright_palette() -> np.ndarray:
    """The DAVIS colours [256,3], lightened so that they show over photographs."""
    return (255 * np.cbrt(PALETTE / 255)).astype(np.uint8)
