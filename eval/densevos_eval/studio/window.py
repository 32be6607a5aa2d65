"""A part of a frame, shrunk, in which an object is cut out."""

# Shapes: H x W pixels of the frame, h x w pixels of the shrunk window.

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a frame, shrunk.

    top, bottom, left, right: Its rows and columns; bottom and right are the first ones outside.
    scale: Factor by which the part is shrunk, at most 1.
    """

    top: int
    bottom: int
    left: int
    right: int
    scale: float

    def part(self, picture: np.ndarray, interpolation: int) -> np.ndarray:
        """The window's part [h,w,...] of a picture [H,W,...].

        Args:
            picture: A picture or a mask.
            interpolation: How OpenCV shrinks it.
        """
        inside = np.ascontiguousarray(picture[self.top : self.bottom, self.left : self.right])
        if self.scale == 1:
            return inside

        return cv2.resize(inside, self._small(), interpolation=interpolation)

    def back(self, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """A mask of the frame from one of the window, with a smooth outline.

        Args:
            mask: [h,w] bool.
            size: [H,W] of the frame.

        Returns:
            [H,W] bool, False outside of the window.
        """
        wide = (self.right - self.left, self.bottom - self.top)
        # Interpolated before the threshold, which smooths the steps of the small mask.
        large = cv2.resize(mask.astype(np.float32), wide, interpolation=cv2.INTER_LINEAR) > 0.5
        full = np.zeros(size, bool)
        full[self.top : self.bottom, self.left : self.right] = large

        return full

    def place(self, place: tuple[float, float]) -> tuple[int, int]:
        """Row and column in the window of a place x, y of the frame, moved inside if needed."""
        width, height = self._small()
        column = min(max(int((place[0] - self.left) * self.scale), 0), width - 1)
        row = min(max(int((place[1] - self.top) * self.scale), 0), height - 1)
        return row, column

    def _small(self) -> tuple[int, int]:
        """Width and height of the shrunk window, in the order of OpenCV."""
        width, height = self.right - self.left, self.bottom - self.top
        return max(1, round(width * self.scale)), max(1, round(height * self.scale))


def window_around(wanted: np.ndarray, size: tuple[int, int], longest: int, margin: float) -> Window:
    """The window around all wanted pixels.

    Args:
        wanted: [H,W] bool, with at least one True.
        size: [H,W] of the frame.
        longest: Most pixels of the longer side of the shrunk window.
        margin: Space on each side, as a share of the longer side of the wanted part.
    """
    rows, columns = np.flatnonzero(wanted.any(1)), np.flatnonzero(wanted.any(0))
    top, bottom = rows[0], rows[-1] + 1
    left, right = columns[0], columns[-1] + 1
    extra = round(margin * max(bottom - top, right - left))
    if margin:
        extra += 8  # pixels, which small objects need

    top, left = max(0, top - extra), max(0, left - extra)
    bottom, right = min(size[0], bottom + extra), min(size[1], right + extra)

    return Window(
        top=int(top),
        bottom=int(bottom),
        left=int(left),
        right=int(right),
        scale=min(1.0, longest / max(bottom - top, right - left)),
    )
