"""Find every video below a folder, and leave out images that are not frames."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from densevos.base.names import frame_order, is_annotation, is_hidden, is_image
from densevos.data.sources.paths import PathSource
from densevos.data.sources.video_file import VIDEO_SUFFIXES

THUMBNAILS = 4  # Most thumbnails that a tool writes for one video.
FEW = 3  # Most folders that a note names.


@dataclass(frozen=True)
class _Folder:
    """The contents of one folder: names of visible images, video files and folders."""

    path: Path
    images: tuple[str, ...]
    videos: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass
class _Notes:
    """The folders that each note is about."""

    folders: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, folder: Path, note: str) -> None:
        self.folders.setdefault(note, []).append(folder)

    def lines(self) -> tuple[str, ...]:
        return tuple(f"{_few(folders)}: {note}" for note, folders in self.folders.items())


BESIDE_VIDEOS = (
    "images beside video files are left out, as they are no frames; move frames to a folder of"
    " their own"
)
NUMBERED = (
    "numbered images beside video files are used as frames; take them out if they are thumbnails"
)
BESIDE_FOLDERS = (
    "images beside folders, a single one or those named like a folder, are left out, as they are no"
    " frames"
)
ANNOTATIONS = "masks are left out because of the name of their folder; rename it if they are frames"
DOUBTFUL = (
    "holds indexed images, which look like masks and not like frames; take them out if they are"
)
MIXED = "holds images of several formats, and all are used as frames; take masks and thumbnails out"
UNREADABLE = "folder may not be read, so it is left out; change its permissions"


def folder_tree(folder: Path) -> PathSource:
    """Find every frame folder and every video file below a folder.

    Links are followed, and a folder that several links lead to is searched once. Hidden names and
    those of the operating system are left out, see `is_hidden`. Images that are no frames are left
    out with a note:

    * images beside video files, unless they are many and numbered;
    * a single image beside folders, and images that are named like a folder beside them;
    * masks in a folder that is named like a folder of masks.

    Args:
        folder: The folder to search.

    Returns:
        The videos, sorted by path, with the notes.
    """
    notes = _Notes()
    videos: list[Path] = []
    for visited in _walk(folder, notes):
        videos += _videos(folder, visited, notes)

    return PathSource(folder, tuple(sorted(videos)), notes.lines())


def _walk(root: Path, notes: _Notes) -> Iterator[_Folder]:
    """`root` and every visible folder below it, each once."""
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        notes.add(Path(error.filename), UNREADABLE)

    for where, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        # A link may lead back to a folder above it: following it would never end.
        place = os.path.realpath(where)
        if place in seen:
            folders.clear()
            continue

        seen.add(place)
        # os.walk descends into the folders that stay in its own list.
        folders[:] = sorted(name for name in folders if not is_hidden(name))

        videos = []
        for name in files:
            if not is_hidden(name) and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                videos.append(name)

        yield _Folder(Path(where), tuple(filter(is_image, files)), tuple(videos), tuple(folders))


def _videos(root: Path, folder: _Folder, notes: _Notes) -> Iterator[Path]:
    """The video files of one folder, and the folder itself if its images are frames."""
    yield from (folder.path / name for name in folder.videos)
    if not folder.images:
        return

    # The first rule that matches decides whether the images are frames.
    stems = {Path(name).stem for name in folder.images}
    if folder.videos and not _are_numbered(folder):
        notes.add(folder.path, BESIDE_VIDEOS)
    elif folder.folders and (len(stems) == 1 or stems & set(folder.folders)):
        notes.add(folder.path, BESIDE_FOLDERS)
    elif _holds_masks(root, folder):
        notes.add(folder.path, ANNOTATIONS)
    else:
        if folder.videos:
            notes.add(folder.path, NUMBERED)
        elif _looks_like_masks(folder):
            notes.add(folder.path, DOUBTFUL)
        elif len({_kind(name) for name in folder.images}) > 1:
            notes.add(folder.path, MIXED)

        yield folder.path


def _are_numbered(folder: _Folder) -> bool:
    """Whether image names differ in numbers only, and are too many to be the videos' thumbnails."""
    # Every number becomes 0: names that differ in numbers only become the same.
    patterns = {re.sub("[0-9]+", "0", Path(name).stem) for name in folder.images}
    return len(patterns) == 1 and len(folder.images) > THUMBNAILS * len(folder.videos)


def _holds_masks(root: Path, folder: _Folder) -> bool:
    """Whether a folder, or one around it below the root, is named like masks and holds no JPEG."""
    named_like_masks = any(is_annotation(name) for name in folder.path.relative_to(root).parts)
    # JPEG would change the ids of masks, so a JPEG is a frame.
    has_jpeg = any(name.lower().endswith((".jpg", ".jpeg")) for name in folder.images)
    return named_like_masks and not has_jpeg


def _looks_like_masks(folder: _Folder) -> bool:
    """Whether the first image has a palette, as masks have and frames hardly ever do."""
    # Masks with ids are PNG files.
    first = folder.path / min(folder.images, key=frame_order)
    if first.suffix.lower() != ".png":
        return False

    try:
        with Image.open(first) as image:  # Reads the header of the file only.
            return image.mode in ("1", "P")
    except (OSError, SyntaxError, ValueError):
        return False  # The error is reported when the video is read.


def _kind(image: str) -> str:
    """The suffix of an image, in one spelling per format."""
    return Path(image).suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif")


def _few(folders: list[Path]) -> str:
    """The first folders, and the number of others."""
    names = ", ".join(map(str, folders[:FEW]))
    others = len(folders) - FEW
    if others > 0:
        names += f" and {others} more"

    return names
