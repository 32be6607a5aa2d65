"""Read image files, and turn them upright as their EXIF orientation says."""

from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from densevos.base.errors import InputError


def load_image(
    path: Path | str, kind: str = "image", remedy: str = "replace or remove it"
) -> Image.Image:
    """Decode an image, and turn it as its EXIF orientation says, as viewers and players do.

    Args:
        path: An image file.
        kind: What the file is, for error messages.
        remedy: How to fix a file that cannot be read, for error messages.

    Returns:
        The image.

    Raises:
        InputError: The file is missing, damaged, too large or no image.
    """
    try:
        # `open` reads only the header; `load` finds damage in the pixels.
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise InputError(f"{path}: {kind} is missing") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {kind} is too large ({error}); make it smaller") from error
    except Exception as error:  # Pillow raises errors of many types for damaged files.
        raise InputError(
            f"{path}: {kind} cannot be read ({error or type(error).__name__}); {remedy}"
        ) from error

    # Viewers show the turned image, and masks are drawn on what is seen.
    if orientation(image) != 1:
        ImageOps.exif_transpose(image, in_place=True)

    return image


def orientation(image: Image.Image) -> int:
    """How an image must be turned or mirrored to be upright.

    Args:
        image: An open image.

    Returns:
        1 to 8 as in EXIF; 1 (not at all) if there is no readable EXIF block.
    """
    try:
        value = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # A damaged EXIF block is no reason to refuse pixels that can be read.
        return 1

    # Values outside EXIF's eight are damage, and mean no turn.
    return value if value in range(1, 9) else 1


def image_header(path: Path) -> tuple[tuple[int, int], int]:
    """Read the size of an image without decoding it.

    Args:
        path: An image file.

    Returns:
        (H, W) of the image that `load_image` returns, and its EXIF orientation, 1 to 8.

    Raises:
        Exception: Pillow cannot open the file; its errors have many types.
    """
    with Image.open(path) as image:
        turned = orientation(image)

        # Orientations 5 to 8 are quarter turns, which swap height and width. For a TIFF Pillow
        # gives the size after the turn.
        swapped = turned >= 5 and image.format != "TIFF"
        width, height = image.size
        return ((width, height) if swapped else (height, width)), turned


def size_remedy(size: tuple[int, ...], wanted: tuple[int, int]) -> str:
    """How to fix a mask whose size differs from that of its frame.

    Args:
        size: [H,W] of the mask.
        wanted: [H,W] of the frame.

    Returns:
        The fix, for an error message.
    """
    # Height and width swapped: the mask was drawn on the other orientation.
    if size == wanted[::-1]:
        return (
            "give the mask a quarter turn: frames stand upright, "
            "as EXIF orientation or the video's rotation says"
        )

    return "resize the mask with nearest neighbour"


def shrink(image: Image.Image, short_side: int) -> Image.Image:
    """Scale an image down to a short side; a smaller image is returned unchanged.

    Args:
        image: The image.
        short_side: Pixels of the shorter side.

    Returns:
        The image, scaled bilinearly.
    """
    scale = short_side / min(image.size)
    # Enlarging would cost time and add no detail.
    if scale >= 1:
        return image

    size = round(image.width * scale), round(image.height * scale)
    return image.resize(size, Image.Resampling.BILINEAR)
