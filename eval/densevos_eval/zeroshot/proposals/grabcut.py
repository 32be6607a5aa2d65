"""GrabCut (Rother et al., SIGGRAPH 2004): from a box to the mask of the object in it, by the
colours of one image.
"""

from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


@dataclass(frozen=True, kw_only=True)
class GrabCut:
    """How the object of a box is cut out."""

    iterations: int = 3
    """Rounds of colour models and graph cut."""
    long_side: int = 240
    """Longer side, in pixels, to which larger excerpts are reduced for the cut, whose time grows
    with the pixels.
    """
    margin: float = 0.25
    """How far around the box the background is looked at, as a share of its sides."""
    likely: float = 0.5
    """Pixels of the box above this probability of foreground begin as object."""
    fewest: int = 10
    """Fewest pixels that object and background must have each: colour models of fewer mean
    nothing.
    """

    def __call__(self, image: np.ndarray, box: Box, foreground: np.ndarray) -> np.ndarray:
        """The object in a box.

        Args:
            image: RGB [H,W,3] uint8.
            box: Left, top, width, height; what lies outside of the image does not count.
            foreground: Probability of foreground [H,W] float32.

        Returns:
            Mask [H,W] bool, inside the box. Where object or background have too few pixels for
            GrabCut, it is the likely foreground of the box.
        """
        height, width = foreground.shape
        left, top = max(box[0], 0), max(box[1], 0)
        right, bottom = min(box[0] + box[2], width), min(box[1] + box[3], height)
        mask = np.zeros((height, width), bool)
        if right <= left or bottom <= top:
            return mask

        # Only the surroundings of the box are cut: the rest of the image costs time and says little
        # of the object.
        aside, above = round(self.margin * (right - left)), round(self.margin * (bottom - top))
        columns = slice(max(left - aside, 0), min(right + aside, width))
        rows = slice(max(top - above, 0), min(bottom + above, height))
        inside = np.zeros((height, width), bool)
        inside[top:bottom, left:right] = True
        cut = self._cut(image[rows, columns], inside[rows, columns], foreground[rows, columns])

        mask[rows, columns] = cut
        return mask & inside

    def _cut(self, image: np.ndarray, inside: np.ndarray, foreground: np.ndarray) -> np.ndarray:
        """The object [h,w] bool of an excerpt of the image."""
        height, width = inside.shape
        scale = min(self.long_side / max(height, width), 1)
        size = (max(round(width * scale), 1), max(round(height * scale), 1))
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        small_inside = _resized(inside, size)
        probability = cv2.resize(
            np.ascontiguousarray(foreground, np.float32), size, interpolation=cv2.INTER_AREA
        )

        labels = np.where(small_inside, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
        labels[small_inside & (probability > self.likely)] = cv2.GC_PR_FGD
        if self._cannot_be_cut(labels):
            return inside & (foreground > self.likely)

        # OpenCV draws the first colour models at random.
        cv2.setRNGSeed(0)
        blue_green_red = np.ascontiguousarray(small[..., ::-1])
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(
            blue_green_red, labels, (0, 0, 0, 0), *models, self.iterations, cv2.GC_INIT_WITH_MASK
        )

        return _resized((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), (width, height))

    def _cannot_be_cut(self, labels: np.ndarray) -> bool:
        """Whether object or background have too few pixels, which GrabCut would end at with an
        error.
        """
        likely_object = int((labels == cv2.GC_PR_FGD).sum())
        return min(likely_object, labels.size - likely_object) < self.fewest


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask [h,w] bool at another size (width, height)."""
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0
