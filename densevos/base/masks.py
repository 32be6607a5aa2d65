"""Read and write masks as indexed PNGs with the colours of the DAVIS palette.

The value of a pixel is the id of an object (0: background) or of a class.
"""

# Shapes: H x W pixels

from pathlib import Path

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos.base.images import load_image
from densevos.base.png import read_plain_png


def davis_palette() -> np.ndarray:
    """The colours of DAVIS for ids of objects, and of PASCAL VOC for ids of classes.

    The highest bits of red, green and blue are bits 0, 1 and 2 of the id, the next lower bits are
    its bits 3, 4 and 5, and so on.

    Returns:
        RGB colours [256,3] uint8.
    """
    ids = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    # Bit k of a colour channel, counted from the highest, is bit 3 k + channel of the id.
    for channel in range(3):
        for position in range(8):
            bit = 3 * position + channel
            if bit < 8:  # ids have 8 bits
                palette[:, channel] |= (((ids >> bit) & 1) << (7 - position)).astype(np.uint8)

    return palette


# Computed once: each mask that is written takes it along.
PALETTE = davis_palette()

VOID = 255
"""Value of pixels without a label: they belong to no class, or may be foreground or background."""


def as_ids(mask: np.ndarray, wanted: str) -> np.ndarray:
    """Convert a mask of any number type to ids, without changing a value.

    Args:
        mask: [H,W], whole numbers 0 to 255 of any type.
        wanted: How a message about another mask starts.

    Returns:
        Ids [H,W] uint8.

    Raises:
        InputError: A value is no id. A plain cast would turn both 0.9 and 256 into 0.
    """
    # The common case costs no look at the pixels.
    if mask.dtype == np.uint8:
        return mask
    if mask.dtype.kind not in "biuf":  # Booleans, integers, unsigned integers, floats
        raise InputError(f"{wanted}, is of type {mask.dtype}; give an array of uint8")
    if mask.dtype.kind == "f" and not (mask == np.floor(mask)).all():  # NaN included
        raise InputError(
            f"{wanted}, has numbers that are not whole ({mask.dtype}); "
            "make ids of a soft mask first, as in (mask > 0.5).astype(numpy.uint8)"
        )

    # An empty array has no least or largest value.
    if mask.size and (mask.min() < 0 or mask.max() > 255):
        raise InputError(f"{wanted}, has {mask.min()} to {mask.max()}; renumber the objects")

    return mask.astype(np.uint8)


def write_mask(path: Path | str, mask: np.ndarray) -> None:
    """Write a mask as an indexed PNG with the DAVIS palette, atomically.

    Args:
        path: The file.
        mask: Ids [H,W], 0 to 255.

    Raises:
        InputError: The mask has another shape or other values.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from densevos import read_mask, write_mask
    >>> file = Path(mkdtemp()) / "00000.png"
    >>> mask = np.zeros((48, 64), np.uint8)
    >>> mask[10:30, 20:40] = 3  # object 3
    >>> write_mask(file, mask)
    >>> np.array_equal(read_mask(file), mask)
    True
    """
    ids = as_ids(np.asarray(mask), f"{path}: mask must hold ids 0 to 255")
    # A PNG needs at least one pixel and one channel.
    if ids.ndim != 2 or not ids.size:
        raise InputError(f"{path}: mask must be [H,W], is {list(ids.shape)}")

    # Pillow reads the array's memory row by row.
    image = Image.fromarray(np.ascontiguousarray(ids))
    image.putpalette(PALETTE.tobytes())
    with atomic_write(Path(path)) as file:
        image.save(file, format="PNG")


def open_mask(path: Path | str) -> Image.Image:
    """Decode the image of a mask, and turn it upright.

    Args:
        path: The file.

    Returns:
        The image, of any mode.

    Raises:
        InputError: The file is missing, unreadable or truncated.
    """
    return load_image(path, "mask", "write it again")


def read_mask(path: Path | str) -> np.ndarray:
    """Read a mask from an indexed PNG, or from a PNG with one channel of 8 bits.

    Args:
        path: The file.

    Returns:
        Ids [H,W] uint8.

    Raises:
        InputError: The file is missing, unreadable or truncated, or its pixels are colours instead
            of ids.

    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> import numpy as np
    >>> from densevos import read_mask, write_mask
    >>> file = Path(mkdtemp()) / "00000.png"
    >>> mask = np.zeros((48, 64), np.uint8)
    >>> mask[10:30, 20:40] = 3
    >>> write_mask(file, mask)
    >>> np.unique(read_mask(file)).tolist()
    [0, 3]
    """
    # Most masks are plain PNGs, which need no Pillow.
    plain = read_plain_png(path)
    if plain is not None:
        return plain

    return ids_of(open_mask(path), str(path))


def ids_of(image: Image.Image, title: str) -> np.ndarray:
    """The ids of a decoded mask.

    Args:
        image: The image.
        title: How messages name the mask.

    Returns:
        Ids [H,W] uint8.

    Raises:
        InputError: Its pixels are colours.
    """
    # Modes with one number per pixel: 1 bit, palette index, grey value.
    if image.mode not in ("1", "P", "L"):
        raise InputError(
            f"{title}: mask is {image.mode}, not indexed; "
            "save a palette PNG whose pixel values are ids"
        )

    return np.asarray(image, dtype=np.uint8)
