"""Image files, decoded and turned upright."""

from pathlib import Path

from PIL import ExifTags, Image, ImageOps

from densevos.base.errors import InputError


def load_image(
    path: Path | str, kind: str = "image", remedy: str = "replace or remove it"
) -> Image.Image:
    """The picture at `path`, decoded and turned as its EXIF orientation says, as viewers and video
    players show it.

    Args:
        path: An image file.
        kind: What the file is, for the message.
        remedy: What to do about a file that cannot be read.

    Raises:
        InputError: The file is missing, damaged, too large or no image.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise InputError(f"{path}: {kind} is missing") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path}: {kind} is too large ({error}); make it smaller") from error
    except Exception as error:  # Pillow raises whatever a damaged file makes it stumble over.
        raise InputError(
            f"{path}: {kind} cannot be read ({error or type(error).__name__}); {remedy}"
        ) from error

    if orientation(image) != 1:
        ImageOps.exif_transpose(image, in_place=True)

    return image


def orientation(image: Image.Image) -> int:
    """How the picture is to be turned or mirrored, 1 to 8 as EXIF counts; 1 (not at all) where no
    EXIF can be read.
    """
    try:
        found = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # A damaged EXIF block is no reason to refuse pixels that can be read.
        return 1

    return found if found in range(1, 9) else 1


def image_header(path: Path) -> tuple[tuple[int, int], int]:
    """[H,W] that `load_image` gives a picture, and its EXIF orientation; only the header is read.

    Raises:
        Exception: Whatever Pillow raises for a file that it cannot open.
    """
    with Image.open(path) as image:
        turned = orientation(image)
        lies = (
            turned >= 5 and image.format != "TIFF"
        )  # Pillow tells the size of a TIFF as it is turned.

        return (image.size if lies else image.size[::-1]), turned


def size_remedy(size: tuple[int, ...], wanted: tuple[int, int]) -> str:
    """What to do about a mask [H,W] = `size` of a frame [H,W] = `wanted`."""
    if size == wanted[::-1]:
        return "give the mask a quarter turn: frames stand upright, as EXIF orientation or the video's rotation says"
    return "resize the mask with nearest neighbour"


def shrink(image: Image.Image, short_side: int) -> Image.Image:
    """The image with its short side brought down to `short_side` pixels; a smaller one as it is."""
    scale = short_side / min(image.size)
    if scale >= 1:
        return image

    return image.resize(
        (round(image.width * scale), round(image.height * scale)), Image.Resampling.BILINEAR
    )
