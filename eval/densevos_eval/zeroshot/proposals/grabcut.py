"""GrabCut (Rother et al., SIGGRAPH 2004): cuts the object out of a box by the image's colours."""

# Shapes: H x W pixels of the image, h x w pixels of the excerpt around a box.

from dataclasses import dataclass

import cv2
import numpy as np

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


@dataclass(frozen=True, kw_only=True)
class GrabCut:
    """Cuts the object out of a box."""

    iterations: int = 3
    """Number of rounds of colour models and graph cut."""
    long_side: int = 240
    """Long side that larger excerpts are scaled to for the cut, in pixels: the time of the cut
    grows with the number of pixels."""
    margin: float = 0.25
    """Width of the margin around the box that is used as background, as a share of the box's
    sides."""
    likely: float = 0.5
    """Pixels of the box start as object if their probability of foreground is above this."""
    fewest: int = 10
    """Smallest number of pixels that object and background must each have for a colour model."""

    def __call__(self, image: np.ndarray, box: Box, foreground: np.ndarray) -> np.ndarray:
        """Find the object in a box.

        Args:
            image: RGB [H,W,3] uint8.
            box: left, top, width, height; parts outside of the image are ignored.
            foreground: probability of foreground [H,W] float32.

        Returns:
            Mask [H,W] bool, inside the box. If object or background have too few pixels for
            GrabCut, it is the likely foreground of the box.
        """
        height, width = foreground.shape
        left, top = max(box[0], 0), max(box[1], 0)
        right, bottom = min(box[0] + box[2], width), min(box[1] + box[3], height)
        mask = np.zeros((height, width), bool)
        if right <= left or bottom <= top:
            return mask

        # GrabCut sees only the surroundings of the box: the rest of the image costs time and has
        # little to do with the object.
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
        large = np.ascontiguousarray(foreground, np.float32)
        probability = cv2.resize(large, size, interpolation=cv2.INTER_AREA)

        # Outside of the box is certain background. Inside, the labels are a first guess.
        labels = np.where(small_inside, cv2.GC_PR_BGD, cv2.GC_BGD).astype(np.uint8)
        labels[small_inside & (probability > self.likely)] = cv2.GC_PR_FGD
        if self._cannot_be_cut(labels):
            return inside & (foreground > self.likely)

        # OpenCV draws the first colour models at random.
        cv2.setRNGSeed(0)
        blue_green_red = np.ascontiguousarray(small[..., ::-1])
        cv2.grabCut(
            blue_green_red,
            labels,
            (0, 0, 0, 0),  # No rectangle: the labels are used instead.
            np.zeros((1, 65)),  # Working memory for the colour models of background and object.
            np.zeros((1, 65)),
            self.iterations,
            cv2.GC_INIT_WITH_MASK,
        )

        return _resized((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD), (width, height))

    def _cannot_be_cut(self, labels: np.ndarray) -> bool:
        """Whether object or background have so few pixels that GrabCut would raise an error."""
        likely_object = int((labels == cv2.GC_PR_FGD).sum())
        return min(likely_object, labels.size - likely_object) < self.fewest


def _resized(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask [h,w] bool at another size (width, height)."""
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0
