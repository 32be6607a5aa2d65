"""Shots: where a video is cut, and which frames are flashes; motion is not computed across them."""

# Shapes: H x W pixels of a frame; thumbnails are [18,32].

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

THUMBNAIL = (32, 18)
"""Width and height in pixels at which frames are compared."""
LEVELS = 16
"""Number of bins in which the levels of a channel are counted."""

# There is a cut between two frames if all three thresholds are passed. A fade keeps the
# correlation, and fast motion keeps the colours. So no two successive frames of 40 DAVIS-2016
# sequences are cut, and 98 % of the pairs of frames of two different sequences are.
OTHER_COLOURS = 0.15
"""Share of pixels, on average over the channels, that must fall into other bins."""
OTHER_PIXELS = 15.0
"""Difference of the thumbnails, of 255 and on average, that must be exceeded."""
ALIKE = 0.75
"""Correlation of the grey thumbnails that must not be reached."""
LONGEST_FLASH = 3
"""Longest flash in frames; a longer interruption is a shot of its own."""


@dataclass(frozen=True)
class Shot:
    """Successive frames without a cut."""

    frames: tuple[int, ...]
    """Indices in order; there may be a flash between two of them."""
    flashes: tuple[int, ...]
    """Indices of frames that show a flash or another fault; the frame before replaces them."""


@dataclass(frozen=True)
class Glance:
    """The summary of a frame by which frames are compared."""

    thumbnail: np.ndarray
    """[18,32,3] float32, levels of 0..255."""
    levels: np.ndarray
    """[3,LEVELS]: share of the pixels in each bin, for each channel."""
    grey: np.ndarray
    """[18,32] grey thumbnail of mean 0 and length 1, so that a product is a correlation."""

    @classmethod
    def of(cls, image: np.ndarray) -> "Glance":
        """Summarise an RGB image [H,W,3] uint8."""
        thumbnail = cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
        counts = [
            np.bincount(image[..., c].ravel() // (256 // LEVELS), minlength=LEVELS)
            for c in range(3)
        ]
        grey = thumbnail.mean(axis=2)
        grey = grey - grey.mean()

        return cls(
            thumbnail,
            np.stack(counts) / image[..., 0].size,
            grey / max(float(np.linalg.norm(grey)), 1e-6),
        )

    def is_cut_from(self, other: "Glance") -> bool:
        """Whether there is a cut between two successive frames."""
        # A pixel that changes its bin counts in two bins, hence the half.
        colours = float(np.abs(self.levels - other.levels).sum(axis=1).mean()) / 2
        pixels = float(np.abs(self.thumbnail - other.thumbnail).mean())
        return (
            colours > OTHER_COLOURS
            and pixels > OTHER_PIXELS
            and float((self.grey * other.grey).sum()) < ALIKE
        )


def shots(images: Sequence[np.ndarray]) -> list[Shot]:
    """Split successive frames into shots.

    Args:
        images: RGB frames [H,W,3] uint8.

    Returns:
        The shots in order. Every frame belongs to one shot, as a frame or as a flash of it.
    """
    if not images:
        return []

    glances = [Glance.of(image) for image in images]
    frames: list[int] = [0]  # of the shot under way
    flashes: list[int] = []
    complete: list[Shot] = []
    index = 1

    while index < len(glances):
        before = frames[-1]
        if not glances[index].is_cut_from(glances[before]):
            frames.append(index)
        else:
            back = _return(glances, before, index)
            if back is None:
                complete.append(Shot(tuple(frames), tuple(flashes)))
                frames, flashes = [index], []
            else:
                # The scene comes back after a few frames: these are a flash, not a cut.
                flashes.extend(range(index, back))
                frames.append(back)
                index = back

        index += 1

    return [*complete, Shot(tuple(frames), tuple(flashes))]


def _return(glances: Sequence[Glance], before: int, index: int) -> int | None:
    """The first frame soon after `index` that continues frame `before`, if there is one."""
    soon = range(index + 1, min(index + 1 + LONGEST_FLASH, len(glances)))
    return next((later for later in soon if not glances[later].is_cut_from(glances[before])), None)
