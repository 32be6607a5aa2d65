"""The rule of names: in which order frames come, which files are images, and what nobody put there
on purpose.
"""

import os
import re
from pathlib import Path

from densevos.base.errors import InputError

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})

# What file managers, archives and disks leave behind, in lower case; besides all names that start
# with a dot.
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

# Folders of labels, in lower case and without digits and punctuation, as data sets and programs
# call them.
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

NUMBER = re.compile(r"(?<![0-9A-Za-z])([0-9]+)(\.[0-9]+)(?![0-9]|\.[0-9])|([0-9]+)")
WIDTH = 32  # digits; no number of a frame is longer


def frame_order(name: str) -> tuple[str, str]:
    """What to sort names of frames by: as text, but numbers within them by value, so that 2 comes
    before 10.

    Names whose numbers are padded to one width keep the order of text. Of a decimal number such as
    0.25 only the part before the point is counted.

    >>> sorted(["10", "9", "1"], key=frame_order)
    ['1', '9', '10']
    """
    return NUMBER.sub(_padded, name), name


def _padded(number: re.Match[str]) -> str:
    whole, fraction, alone = number.groups()
    return (alone or whole).zfill(WIDTH) + (fraction or "")


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or was put there by a system and not by the
    user.
    """
    return name.startswith(".") or name.lower() in SYSTEM_NAMES


def is_image(name: str) -> bool:
    """Whether a visible file of this name is an image."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES and not is_hidden(name)


def is_png(name: str) -> bool:
    """Whether a visible file of this name is a PNG, as masks are."""
    return name.lower().endswith(".png") and not is_hidden(name)


def is_annotation(name: str) -> bool:
    """Whether a folder of this name holds labels instead of frames."""
    return re.sub(r"[\W_\d]", "", name.lower()) in ANNOTATION_NAMES


def image_files(folder: Path) -> list[Path]:
    """The image files directly inside `folder`, in the order of frames; InputError when it cannot
    be read.
    """
    found = [
        entry.name for entry in _entries(folder) if is_image(entry.name) and not _is_folder(entry)
    ]
    return [folder / name for name in sorted(found, key=frame_order)]


def frame_files(folder: Path, hint: str = "") -> list[Path]:
    """The image files directly inside `folder`; InputError with the fix when two of them have one
    name.
    """
    files = image_files(folder)
    first: dict[str, Path] = {}
    for file in files:
        other = first.setdefault(file.stem, file)
        if other is not file:
            advice = (
                f"remove one; {hint}" if hint else "remove one, or keep masks apart from frames"
            )
            raise InputError(
                f"{file}: has the name of {other.name}, by which masks are found; {advice}"
            )

    return files


def visible_folders(folder: Path) -> list[Path]:
    """The folders directly inside `folder` that are not hidden, sorted by name; InputError when it
    cannot be read.
    """
    return sorted(
        folder / entry.name
        for entry in _entries(folder)
        if _is_folder(entry) and not is_hidden(entry.name)
    )


def mask_files(folder: Path) -> list[Path]:
    """The PNG files directly inside `folder`, in the order of frames; InputError when it cannot be
    read.
    """
    return [file for file in image_files(folder) if is_png(file.name)]


def mask_file(folder: Path, frame: str) -> Path:
    """FOLDER/FRAME.png, or FOLDER/FRAME.PNG where only that is there."""
    file, upper = folder / f"{frame}.png", folder / f"{frame}.PNG"
    return upper if not file.is_file() and upper.is_file() else file


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Links that lead nowhere count as files, so that the frame is missed when it is read."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except PermissionError:
        raise InputError(f"{folder}: folder may not be read; change its permissions") from None
