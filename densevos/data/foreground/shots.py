"""Shots: where a video is cut, and which single frames are flashes. Motion means nothing across
either.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

THUMBNAIL = (32, 18)
"""Width and height at which frames are compared, pixels."""
LEVELS = 16
"""Grey levels are counted in so many bins."""
OTHER_COLOURS = 0.15
OTHER_PIXELS = 15.0
ALIKE = 0.75
"""A cut is where more than OTHER_COLOURS of the pixels have another grey level in each channel,
thumbnails differ by more than OTHER_PIXELS of 255 on average, and correlate by less than ALIKE. A
fade keeps the correlation, fast motion the colours: no two successive frames of 40 DAVIS-2016
sequences are cut, and 98 % of pairs of frames from two are."""
LONGEST_FLASH = 3
"""Frames: what is not alike for longer is a shot of its own."""


@dataclass(frozen=True)
class Shot:
    """Frames of one camera without a cut."""

    frames: tuple[int, ...]
    """Indices in order; between two there may be a flash."""
    flashes: tuple[int, ...]
    """Indices of frames that show a flash, or another fault, for which the frame before stands
    in.
    """


@dataclass(frozen=True)
class Glance:
    """What is compared of a frame."""

    thumbnail: np.ndarray
    levels: np.ndarray
    grey: np.ndarray

    @classmethod
    def of(cls, image: np.ndarray) -> "Glance":
        """A glance at an RGB image [H,W,3] uint8."""
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
        """Whether two successive frames do not belong together."""
        colours = float(np.abs(self.levels - other.levels).sum(axis=1).mean()) / 2
        pixels = float(np.abs(self.thumbnail - other.thumbnail).mean())
        return (
            colours > OTHER_COLOURS
            and pixels > OTHER_PIXELS
            and float((self.grey * other.grey).sum()) < ALIKE
        )


def shots(images: Sequence[np.ndarray]) -> list[Shot]:
    """The shots of successive RGB frames [H,W,3] uint8; every frame is in one, as a frame or as a
    flash of it.
    """
    glances = [Glance.of(image) for image in images]
    found: list[tuple[list[int], list[int]]] = []
    index = 0

    while index < len(glances):
        if not found or glances[index].is_cut_from(glances[found[-1][0][-1]]):
            back = _return(glances, found[-1][0][-1], index) if found else None
            if back is None:
                found.append(([index], []))
            else:
                found[-1][1].extend(range(index, back))
                found[-1][0].append(back)
                index = back
        else:
            found[-1][0].append(index)

        index += 1

    return [Shot(tuple(frames), tuple(flashes)) for frames, flashes in found]


def _return(glances: Sequence[Glance], before: int, index: int) -> int | None:
    """The first frame soon after `index` that belongs to frame `before` again; None where there is
    none.
    """
    soon = range(index + 1, min(index + 1 + LONGEST_FLASH, len(glances)))
    return next((later for later in soon if not glances[later].is_cut_from(glances[before])), None)
