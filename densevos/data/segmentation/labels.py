"""Masks in files -> class ids, checked against the class map and the image."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from densevos.base.errors import InputError
from densevos.base.masks import read_mask


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
        """Class ids [H,W] uint8 of a frame; InputError names the file, and value and count or both sizes."""
        image, mask = self.files[index]
        raw = self.read(mask)
        check_size(mask, raw.shape, image)
        return class_ids(raw, self.values, mask, self.known)


def class_ids(raw: np.ndarray, values: Mapping[int, int], file: Path, known: str) -> np.ndarray:
    """Class ids [H,W] uint8 of the values [H,W] of a mask; InputError for a value that is not in the class map."""
    found, counts = value_counts(raw)
    for value, count in zip(found.tolist(), counts.tolist(), strict=True):
        if value not in values:
            raise InputError(f"{file}: value {value} ({count} pixels) is outside the class map: {known}")
    ids = np.array([values[value] for value in found.tolist()], np.uint8)
    if raw.dtype != np.uint8:
        return ids[np.searchsorted(found, raw)]
    table = np.zeros(256, np.uint8)
    table[found] = ids
    return table[raw]


def value_counts(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The values that occur, ascending, and how often; eight times as fast as np.unique for uint8."""
    if raw.dtype != np.uint8:
        return np.unique(raw, return_counts=True)
    counts = np.bincount(raw.reshape(-1), minlength=256)
    found = np.flatnonzero(counts)
    return found, counts[found]


def check_size(mask: Path, size: tuple[int, ...], image: Path) -> None:
    """Raise InputError unless the mask's [H,W] is that of the image, of which only the header is read."""
    try:
        with Image.open(image) as opened:
            width, height = opened.size
    except FileNotFoundError:
        raise InputError(f"{image}: image is missing, though {mask} labels it") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError) as error:
        raise InputError(f"{image}: image cannot be read ({error}); replace or remove it") from error
    if size != (height, width):
        raise InputError(
            f"{mask}: mask is {size[1]}x{size[0]} but {image.name} is {width}x{height};"
            " make it of the image's size with nearest neighbour"
        )
