"""Reads masks as class ids, checked against the class map and the image."""

# Shapes: H x W pixels of a frame or of its mask.

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
"""EXIF orientation -> how to turn stored pixels into the image as it is shown; only orientations
that exchange the sides.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskFiles:
    """Labels of a shot whose labelled frames have one mask file each."""

    files: Mapping[int, tuple[Path, Path]]
    """Index of a frame -> its image and its mask."""
    values: Mapping[int, int]
    """Value in the mask -> class id; other values are an error."""
    known: str
    """The values in words, for messages."""
    read: Callable[[Path], np.ndarray] = read_mask
    """Reads a mask file as values [H,W]."""

    def __call__(self, index: int) -> np.ndarray:
        """Class ids [H,W] uint8 of a frame, 255 = void.

        Raises:
            InputError: The image or the mask cannot be read, their sizes differ, or the mask holds
                values outside the class map.
        """
        image, mask = self.files[index]
        raw = self.read(mask)
        return class_ids(upright(raw, image, mask), self.values, mask, self.known)


def class_ids(raw: np.ndarray, values: Mapping[int, int], file: Path, known: str) -> np.ndarray:
    """Turn the values of a mask into class ids.

    Args:
        raw: Values [H,W] of the mask.
        values: Value -> class id.
        file: File of the mask, for messages.
        known: The values in words, for messages.

    Returns:
        Class ids [H,W] uint8.

    Raises:
        InputError: A value is not in the class map. The message tells how many pixels have it.
    """
    present, counts = value_counts(raw)
    for value, count in zip(present.tolist(), counts.tolist(), strict=True):
        if value not in values:
            raise InputError(
                f"{file}: value {value} ({count} pixels) is outside the class map: {known}"
            )

    # Ids in the order of the values, which ascend: a search finds the id of each pixel.
    ids = np.array([values[value] for value in present.tolist()], np.uint8)
    if raw.dtype != np.uint8:
        return ids[np.searchsorted(present, raw)]

    # 256 values fit into a table, which is faster than a search.
    table = np.zeros(256, np.uint8)
    table[present] = ids
    labels: np.ndarray = table[raw]
    return labels


def value_counts(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which values occur in a mask [H,W], ascending, and how often; fast for uint8."""
    if raw.dtype != np.uint8:
        return np.unique(raw, return_counts=True)

    # Eight times as fast as np.unique, which sorts.
    counts = np.bincount(raw.reshape(-1), minlength=256)
    present = np.flatnonzero(counts)
    return present, counts[present]


def upright(labels: np.ndarray, image: Path, mask: Path) -> np.ndarray:
    """Turn labels so that they fit the image as it is shown.

    Some labels were drawn over the pixels as they are stored. If the EXIF data of the image say
    that it is shown with its sides exchanged, such labels are turned too.

    Args:
        labels: Values or class ids [H,W].
        image: The image; only its header is read.
        mask: File of the labels, for messages.

    Returns:
        The labels [H,W], turned if necessary.

    Raises:
        InputError: The image is missing or unreadable, or has another size than the labels.
    """
    try:
        # The header is enough, and fast to read.
        size, turned = image_header(image)
    except FileNotFoundError:
        raise InputError(f"{image}: image is missing, though {mask} labels it") from None
    except Exception as error:  # Pillow lets through many kinds of errors.
        raise InputError(
            f"{image}: image cannot be read ({error}); replace or remove it"
        ) from error

    # Labels of this size fit the image as it is shown.
    if labels.shape == size:
        return labels
    if labels.shape == size[::-1] and turned in QUARTER_TURNS:
        return np.ascontiguousarray(QUARTER_TURNS[turned](labels))

    raise InputError(
        f"{mask}: mask is {labels.shape[1]}x{labels.shape[0]} but {image.name} is"
        f" {size[1]}x{size[0]}; {size_remedy(labels.shape, size)}"
    )
