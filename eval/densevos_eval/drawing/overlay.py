"""Masks drawn over frames, titled panels side by side, and H.264 movies of them."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from densevos.base.masks import PALETTE

OPACITY = 0.5
GAP = 4
BACKDROP = (24, 24, 27)
INK = (235, 235, 235)


def overlay(
    frame: np.ndarray,
    ids: np.ndarray,
    *,
    background: bool = True,
    colours: np.ndarray | None = None,
) -> np.ndarray:
    """The frame [H,W,3] uint8 with each object of `ids` [H,W] tinted in its colour inside a bright
    contour.

    background: whether id 0 is background, which is left as it is.
    colours: RGB [256,3] uint8 of each id; those of `bright_palette` when left out.
    """
    colours = (bright_palette() if colours is None else colours)[ids]
    tinted = ((1 - OPACITY) * frame + OPACITY * colours).astype(np.uint8)
    shown = ids > 0 if background else np.ones_like(ids, dtype=bool)
    edge = shown & _contour(ids, thickness=max(1, round(min(frame.shape[:2]) / 240)))

    return np.where(edge[..., None], colours, np.where(shown[..., None], tinted, frame))


def side_by_side(panels: Sequence[np.ndarray], titles: Sequence[str], height: int) -> np.ndarray:
    """Panels [H,W,3] scaled to `height`, each below its title, in one row on a dark ground."""
    scaled = [
        titled(scaled_to(panel, height), title) for panel, title in zip(panels, titles, strict=True)
    ]
    gap = np.full((scaled[0].shape[0], GAP, 3), BACKDROP, np.uint8)
    row = [part for panel in scaled for part in (gap, panel)]

    return np.concatenate(row[1:], axis=1)


def stacked(rows: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures of any width below one another, centred, on a dark ground."""
    width = max(row.shape[1] for row in rows)
    sides = [((width - row.shape[1]) // 2, (width - row.shape[1] + 1) // 2) for row in rows]
    return np.concatenate(
        [_framed(row, ((0, GAP), side)) for row, side in zip(rows, sides, strict=True)], axis=0
    )[:-GAP]


def titled(panel: np.ndarray, title: str) -> np.ndarray:
    """The panel below a bar with its title."""
    bar_height = max(16, panel.shape[0] // 12)
    bar = Image.new("RGB", (panel.shape[1], bar_height), BACKDROP)
    font = ImageFont.load_default(size=round(0.68 * bar_height))
    ImageDraw.Draw(bar).text(
        (panel.shape[1] / 2, bar_height / 2), title, fill=INK, font=font, anchor="mm"
    )

    return np.concatenate([np.asarray(bar), panel], axis=0)


def scaled_to(picture: np.ndarray, height: int) -> np.ndarray:
    """The picture [H,W,3] scaled to `height`, shape kept."""
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    method = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=method)


def even(picture: np.ndarray) -> np.ndarray:
    """The picture with even sides, as yuv420p wants them."""
    return _framed(picture, ((0, picture.shape[0] % 2), (0, picture.shape[1] % 2)))


def _framed(picture: np.ndarray, sides: tuple[tuple[int, int], tuple[int, int]]) -> np.ndarray:
    height, width = (
        length + sum(side) for length, side in zip(picture.shape[:2], sides, strict=True)
    )
    canvas = np.full((height, width, 3), BACKDROP, np.uint8)
    (top, _), (left, _) = sides
    canvas[top : top + picture.shape[0], left : left + picture.shape[1]] = picture

    return canvas


def _contour(ids: np.ndarray, thickness: int) -> np.ndarray:
    """Pixels next to another id."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * thickness + 1,) * 2)
    return (cv2.erode(ids, disc) != ids) | (cv2.dilate(ids, disc) != ids)


def bright_palette() -> np.ndarray:
    """The DAVIS colours [256,3], lightened so that they show over photographs."""
    return (255 * np.cbrt(PALETTE / 255)).astype(np.uint8)
