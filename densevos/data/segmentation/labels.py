"""Masks in files -> class ids, checked against the class map and the image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.base.images import image_header, size_remedy
from densevos.base.masks import read_mask

QUARTER_TURNS: Mapping[int, Callable[[np.ndarray], np.ndarray]] = {
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: np.rot90,
}
"""EXIF orientation -> how pixels as stored become the picture as it is shown, for those that
exchange the sides.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFiles:
    """Labels of a shot that lie in one file a frame.

    files: frame index -> its image and its mask.
    values: value in the mask -> class id; others are refused.
    known: the values, in words, for the message.
    read: mask file -> values [H,W].
    """

    files: Mapping[int, tuple[Path, Path]]
    values: Mapping[int, int]
    known: str
    read: Callable[[Path], np.ndarray] = read_mask

    def __call__(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8 of a frame; InputError names the file, and value and count or both
        sizes.
        """
        image, mask = self.files[index]
        raw = self.read(mask)
        return class_ids(upright(raw, image, mask), self.values, mask, self.known)


def class_ids(raw: np.ndarray, values: Mapping[int, int], file: Path, known: str) -> np.ndarray:
    """Class ids [H,W] uint8 of the values [H,W] of a mask; InputError for a value that is not in
    the class map.
    """
    found, counts = value_counts(raw)
    for value, count in zip(found.tolist(), counts.tolist(), strict=True):
        if value not in values:
            raise InputError(
                f"{file}: value {value} ({count} pixels) is outside the class map: {known}"
            )

    ids = np.array([values[value] for value in found.tolist()], np.uint8)
    if raw.dtype != np.uint8:
        return ids[np.searchsorted(found, raw)]

    table = np.zeros(256, np.uint8)
    table[found] = ids
    return table[raw]


def value_counts(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that occur, ascending, and how often; eight times as fast as np.unique for
    uint8.
    """
    if raw.dtype != np.uint8:
        return np.unique(raw, return_counts=True)

    counts = np.bincount(raw.reshape(-1), minlength=256)
    found = np.flatnonzero(counts)
    return found, counts[found]


def upright(labels: np.ndarray, image: Path, mask: Path) -> np.ndarray:
    """The labels [H,W] of an image as it is shown.

    Labels drawn over the pixels as they are stored are turned by a quarter where EXIF says so of
    the image.

    Args:
        labels: Values or class ids.
        image: The image, of which only the header is read.
        mask: The file that the labels come from, for the message.

    Raises:
        InputError: The image is missing or unreadable, or has another size than the labels.
    """
    try:
        size, turned = image_header(image)
    except FileNotFoundError:
        raise InputError(f"{image}: image is missing, though {mask} labels it") from None
    except Exception as error:  # Pillow raises whatever a damaged file makes it stumble over.
        raise InputError(
            f"{image}: image cannot be read ({error}); replace or remove it"
        ) from error

    if labels.shape == size:
        return labels
    if labels.shape == size[::-1] and turned in QUARTER_TURNS:
        return np.ascontiguousarray(QUARTER_TURNS[turned](labels))

    raise InputError(
        f"{mask}: mask is {labels.shape[1]}x{labels.shape[0]} but {image.name} is {size[1]}x{size[0]};"
        f" {size_remedy(labels.shape, size)}"
    )
