"""A part of a frame, made smaller: where an object is cut out."""

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of the frame, rows `top` to `bottom` and columns `left` to `right`, shrunk by
    `scale`.
    """

    top: int
    bottom: int
    left: int
    right: int
    scale: float

    def part(self, picture: np.ndarray, interpolation: int) -> np.ndarray:
        """The window's part of a picture [H,W,...], shrunk."""
        inside = np.ascontiguousarray(picture[self.top : self.bottom, self.left : self.right])
        return (
            inside
            if self.scale == 1
            else cv2.resize(inside, self._small(), interpolation=interpolation)
        )

    def back(self, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A mask [h,w] bool of the window as one [H,W] bool of the frame, with a smooth outline."""
        wide = (self.right - self.left, self.bottom - self.top)
        large = cv2.resize(mask.astype(np.float32), wide, interpolation=cv2.INTER_LINEAR) > 0.5
        whole = np.zeros(size, bool)
        whole[self.top : self.bottom, self.left : self.right] = large

        return whole

    def place(self, place: tuple[float, float]) -> tuple[int, int]:
        """Row and column in the window of a place of the frame."""
        width, height = self._small()
        column = min(max(int((place[0] - self.left) * self.scale), 0), width - 1)
        row = min(max(int((place[1] - self.top) * self.scale), 0), height - 1)
        return row, column

    def _small(self) -> tuple[int, int]:
        width, height = self.right - self.left, self.bottom - self.top
        return max(1, round(width * self.scale)), max(1, round(height * self.scale))


def window_around(wanted: np.ndarray, size: tuple[int, int], longest: int, margin: float) -> Window:
    """The window around all that is wanted [H,W] bool, with a margin of its size."""
    rows, columns = np.flatnonzero(wanted.any(1)), np.flatnonzero(wanted.any(0))
    (top, bottom), (left, right) = (rows[0], rows[-1] + 1), (columns[0], columns[-1] + 1)
    extra = round(margin * max(bottom - top, right - left)) + (8 if margin else 0)
    top, left = max(0, top - extra), max(0, left - extra)
    bottom, right = min(size[0], bottom + extra), min(size[1], right + extra)

    return Window(
        top=int(top),
        bottom=int(bottom),
        left=int(left),
        right=int(right),
        scale=min(1.0, longest / max(bottom - top, right - left)),
    )
