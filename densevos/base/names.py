"""Rules for file names: the order of frames, which files are images, and which are ignored."""

import os
import re
from pathlib import Path

from densevos.base.errors import InputError

# Formats of still images that Pillow reads.
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})

# Names, in lower case, that file managers, archives and disks create. Names that start with a dot
# are ignored as well.
SYSTEM_NAMES = frozenset(
    {
        "__macosx",
        "__pycache__",
        "@eadir",
        "@recycle",
        "@tmp",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
    }
)

# Names of label folders in data sets and programs, in lower case and without digits and
# punctuation.
ANNOTATION_NAMES = frozenset(
    {
        "annotation",
        "annotations",
        "annotationssemantics",
        "annotationsunsupervised",
        "groundtruth",
        "groundtruths",
        "gt",
        "gts",
        "label",
        "labels",
        "mask",
        "masks",
        "probabilities",
        "segmentation",
        "segmentations",
        "segmentationclass",
        "segmentationclassaug",
        "segmentationclassraw",
        "segmentationobject",
        "testannot",
        "trainannot",
        "valannot",
    }
)

# A decimal number that is not part of a longer word or version, or any other run of digits.
NUMBER = re.compile(r"(?<![0-9A-Za-z])([0-9]+)(\.[0-9]+)(?![0-9]|\.[0-9])|([0-9]+)")
WIDTH = 32  # digits; no number of a frame is longer


def frame_order(name: str) -> tuple[str, str]:
    """Sort key for names of frames: text order, but with numbers by value, so 2 comes before 10.

    Names whose numbers are padded to one width keep their text order. In a decimal number such as
    0.25, only the part before the point is compared by value.

    >>> sorted(["10", "9", "1"], key=frame_order)
    ['1', '9', '10']

    Args:
        name: Name of a frame.

    Returns:
        The key. Its second part keeps the order unique if two names differ only in padding.
    """
    return NUMBER.sub(_padded, name), name


def _padded(number: re.Match[str]) -> str:
    """A number of a name, padded so that text order is order by value."""
    # The fraction stays as it is: as a text 0.25 already comes before 0.3.
    integer_part, fraction, integer = number.groups()
    return (integer or integer_part).zfill(WIDTH) + (fraction or "")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or was created by a system."""
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def is_image(name: str) -> bool:
    """Whether a visible file of this name is an image."""
    # Endings may be in capitals, as cameras write them.
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not is_hidden(name)


def is_png(name: str) -> bool:
    """Whether a visible file of this name is a PNG, as masks are."""
    return name.lower().endswith(".png") and not is_hidden(name)


def is_annotation(name: str) -> bool:
    """Whether a folder of this name holds labels instead of frames."""
    # "Annotations_2019" and "gt-1" are known by their letters alone.
    return re.sub(r"[\W_\d]", "", name.lower()) in ANNOTATION_NAMES


def image_files(folder: Path) -> list[Path]:
    """List the image files directly inside a folder.

    Args:
        folder: The folder.

    Returns:
        Paths in the order of frames.

    Raises:
        InputError: The folder may not be read.
    """
    names = []
    # An entry of scandir mostly knows whether it is a folder, without another look at the disk.
    for entry in _entries(folder):
        if is_image(entry.name) and not _is_folder(entry):
            names.append(entry.name)

    return [folder / name for name in sorted(names, key=frame_order)]


def frame_files(folder: Path, hint: str = "") -> list[Path]:
    """List the image files directly inside a folder, which must differ in more than their ending.

    Args:
        folder: The folder.
        hint: How to fix two files of one name, for the error message.

    Returns:
        Paths in the order of frames.

    Raises:
        InputError: The folder may not be read, or two files have one name.
    """
    files = image_files(folder)

    # The mask of a frame has the frame's name, so 1.jpg and 1.png would share a mask.
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(file.stem, file)
        if other is not file:
            fix = f"; {hint}" if hint else ", or keep masks apart from frames"
            raise InputError(
                f"{file}: has the name of {other.name}, by which masks are found; remove one{fix}"
            )

    return files


def visible_folders(folder: Path) -> list[Path]:
    """List the folders directly inside a folder that are not hidden.

    Args:
        folder: The folder.

    Returns:
        Paths, sorted by name.

    Raises:
        InputError: The folder may not be read.
    """
    folders = []
    for entry in _entries(folder):
        if _is_folder(entry) and not is_hidden(entry.name):
            folders.append(folder / entry.name)

    return sorted(folders)


def mask_files(folder: Path) -> list[Path]:
    """List the PNG files directly inside a folder; see `image_files`."""
    return [file for file in image_files(folder) if is_png(file.name)]


def mask_file(folder: Path, frame: str) -> Path:
    """The path of a frame's mask.

    Args:
        folder: Folder of masks.
        frame: Name of the frame.

    Returns:
        FOLDER/FRAME.PNG if only that file exists, else FOLDER/FRAME.png.
    """
    # File systems that tell capitals from small letters may hold either ending.
    file, upper = folder / f"{frame}.png", folder / f"{frame}.PNG"
    return upper if not file.is_file() and upper.is_file() else file


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder; a broken link is a file, so that reading it reports it."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Everything directly inside a folder, in no order."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        raise InputError(f"{folder}: folder may not be read; change its permissions") from None
