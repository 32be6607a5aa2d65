"""Indexed PNG masks: pixel value = id of an object (0: background) or of a class, colours of the DAVIS palette."""

from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import written_whole
from densevos.base.images import load_image


def davis_palette() -> np.ndarray:
    """The 256 RGB colours, [256,3] uint8, that DAVIS gives to ids of objects and PASCAL VOC to ids of classes.

    Bit k of the red, green and blue channels comes from bits 0, 1, 2 of the id, then 3, 4, 5, and so on,
    filling each channel from its highest bit downwards.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for channel in range(3):
        for position in range(8):
            bit = 3 * position + channel
            if bit < 8:
                palette[:, channel] |= (((ids >> bit) & 1) << (7 - position)).astype(np.uint8)
    return palette


PALETTE = davis_palette()

VOID = 255
"""Value of pixels without label: of no class, or not known to be foreground or background."""


def write_mask(path: Path | str, mask: np.ndarray) -> None:
    """Write an id map [H,W] uint8 as an indexed PNG with the DAVIS palette, whole or not at all."""
    image = Image.fromarray(np.ascontiguousarray(mask, dtype=np.uint8))
    image.putpalette(PALETTE.tobytes())
    with written_whole(Path(path)) as file:
        image.save(file, format="PNG")


def open_mask(path: Path | str) -> Image.Image:
    """The picture at `path`, decoded and turned upright; InputError when it is missing, unreadable or truncated."""
    return load_image(path, "mask", "write it again")


def read_mask(path: Path | str) -> np.ndarray:
    """Read an indexed (or single-channel 8-bit) PNG as ids [H,W] uint8.

    Raises InputError when the file is missing, unreadable or truncated, or when its pixels are colours
    instead of ids.
    """
    image = open_mask(path)
    if image.mode not in ("1", "P", "L"):
        raise InputError(f"{path}: mask is {image.mode}, not indexed; save a palette PNG whose pixel values are ids")
    return np.asarray(image, dtype=np.uint8)
