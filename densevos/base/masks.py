"""Indexed PNG masks: pixel value = id of an object (0: background) or of a class, colours of the
DAVIS palette.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos.base.images import load_image
from densevos.base.png import read_plain_png


def davis_palette() -> np.ndarray:
    """The 256 RGB colours, [256,3] uint8, that DAVIS gives to ids of objects and PASCAL VOC to ids
    of classes.

    Bit k of the red, green and blue channels comes from bits 0, 1, 2 of the id, then 3, 4, 5, and
    so on, filling each channel from its highest bit downwards.
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


def as_ids(mask: np.ndarray, wanted: str) -> np.ndarray:
    """Ids [H,W] uint8 of a mask whose numbers may be of any type, as long as they are whole and 0
    to 255.

    Raises InputError, which begins with what is `wanted`, for other masks: a cast would make 0 of
    0.9 and of 256.
    """
    if mask.dtype == np.uint8:
        return mask
    if mask.dtype.kind not in "biuf":
        raise InputError(f"{wanted}, is of type {mask.dtype}; give an array of uint8")
    if mask.dtype.kind == "f" and not (mask == np.floor(mask)).all():  # NaN included
        raise InputError(
            f"{wanted}, has numbers that are not whole ({mask.dtype}); "
            "make ids of a soft mask first, as in (mask > 0.5).astype(numpy.uint8)"
        )

    if mask.size and (mask.min() < 0 or mask.max() > 255):
        raise InputError(f"{wanted}, has {mask.min()} to {mask.max()}; number the objects anew")

    return mask.astype(np.uint8)


def write_mask(path: Path | str, mask: np.ndarray) -> None:
    """Write an id map [H,W] as an indexed PNG with the DAVIS palette, whole or not at all.

    Raises InputError where `mask` is not a map of ids 0 to 255.
    """
    ids = as_ids(np.asarray(mask), f"{path}: mask must hold ids 0 to 255")
    if ids.ndim != 2 or not ids.size:
        raise InputError(f"{path}: mask must be [H,W], is {list(ids.shape)}")

    image = Image.fromarray(np.ascontiguousarray(ids))
    image.putpalette(PALETTE.tobytes())
    with atomic_write(Path(path)) as file:
        image.save(file, format="PNG")


def open_mask(path: Path | str) -> Image.Image:
    """The picture at `path`, decoded and turned upright; InputError when it is missing, unreadable
    or truncated.
    """
    return load_image(path, "mask", "write it again")


def read_mask(path: Path | str) -> np.ndarray:
    """Read an indexed (or single-channel 8-bit) PNG as ids [H,W] uint8.

    Raises InputError when the file is missing, unreadable or truncated, or when its pixels are
    colours instead of ids.
    """
    plain = read_plain_png(path)
    if plain is not None:
        return plain

    return ids_of(open_mask(path), str(path))


def ids_of(image: Image.Image, title: str) -> np.ndarray:
    """Ids [H,W] uint8 of a decoded mask; InputError, which begins with `title`, when its pixels are
    colours.
    """
    if image.mode not in ("1", "P", "L"):
        raise InputError(
            f"{title}: mask is {image.mode}, not indexed; save a palette PNG whose pixel values are ids"
        )

    return np.asarray(image, dtype=np.uint8)
