"""Every video below a folder."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from densevos.base.names import frame_order, is_annotation, is_hidden, is_image
from densevos.data.sources.paths import PathSource
from densevos.data.sources.video_file import VIDEO_SUFFIXES

THUMBNAILS = 4  # of one video, at most
FEW = 3  # so many names of folders in a note


@dataclass(frozen=True)
class _Folder:
    """What lies in one folder: the visible images, video files and folders, by name."""

    path: Path
    images: tuple[str, ...]
    videos: tuple[str, ...]
    folders: tuple[str, ...]


@dataclass
class _Notes:
    """Folders that need a word, by what there is to say."""

    folders: dict[str, list[Path]] = field(default_factory=dict)

    def add(self, folder: Path, said: str) -> None:
        self.folders.setdefault(said, []).append(folder)

    def lines(self) -> tuple[str, ...]:
        return tuple(f"{_few(folders)}: {said}" for said, folders in self.folders.items())


BESIDE_VIDEOS = "images beside video files are left out, as they are no frames; move frames to a folder of their own"
NUMBERED = (
    "numbered images beside video files are taken for frames; take them out if they are thumbnails"
)
BESIDE_FOLDERS = (
    "images beside folders, one alone or of their names, are left out, as they are no frames"
)
ANNOTATIONS = "masks are left out, by the name of their folder; rename it if these are frames"
DOUBTFUL = (
    "holds indexed images, which look like masks and not like frames; take them out if they are"
)
MIXED = "holds images of several kinds, all of which are taken for frames; take masks and thumbnails out"
UNREADABLE = "folder may not be read, so it is left out; change its permissions"


def folder_tree(folder: Path) -> PathSource:
    """Every folder below `folder` that holds the frames of a video, and every video file, sorted by
    path.

    Links are followed, each place once. Names that are hidden or a system's are left out, see
    `is_hidden`. So are, with a note each, images that are no frames: those beside video files,
    unless they are many and numbered; single ones, and those named like a folder, beside folders;
    and masks in a folder named so.
    """
    notes = _Notes()
    found = [video for each in _walk(folder, notes) for video in _videos(folder, each, notes)]
    return PathSource(folder, tuple(sorted(found)), notes.lines())


def _walk(root: Path, notes: _Notes) -> Iterator[_Folder]:
    """Every visible folder below and including `root`, each place once."""
    seen: set[str] = set()

    def unreadable(error: OSError) -> None:
        notes.add(Path(error.filename), UNREADABLE)

    for where, folders, files in os.walk(root, onerror=unreadable, followlinks=True):
        if (
            place := os.path.realpath(where)
        ) in seen:  # a link that leads back: walking it would never end
            folders.clear()
            continue

        seen.add(place)
        folders[:] = sorted(name for name in folders if not is_hidden(name))
        videos = [
            name
            for name in files
            if not is_hidden(name) and Path(name).suffix.lower() in VIDEO_SUFFIXES
        ]
        yield _Folder(Path(where), tuple(filter(is_image, files)), tuple(videos), tuple(folders))


def _videos(root: Path, folder: _Folder, notes: _Notes) -> Iterator[Path]:
    """The video files of one folder, and the folder itself where its images are frames."""
    yield from (folder.path / name for name in folder.videos)
    if not folder.images:
        return

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
    """Whether the images are called alike but for numbers, and are more than a few thumbnails for
    each video.
    """
    patterns = {re.sub("[0-9]+", "0", Path(name).stem) for name in folder.images}
    return len(patterns) == 1 and len(folder.images) > THUMBNAILS * len(folder.videos)


def _holds_masks(root: Path, folder: _Folder) -> bool:
    """Whether a folder below the root is one of masks by its name, or by that of one around it;
    masks are no JPEG.
    """
    named = any(is_annotation(name) for name in folder.path.relative_to(root).parts)
    return named and not any(name.lower().endswith((".jpg", ".jpeg")) for name in folder.images)


def _looks_like_masks(folder: _Folder) -> bool:
    """Whether the first image is indexed, as masks are and frames hardly ever."""
    first = folder.path / min(folder.images, key=frame_order)
    if first.suffix.lower() != ".png":
        return False

    try:
        with Image.open(first) as image:  # reads the head of the file only
            return image.mode in ("1", "P")
    except (OSError, SyntaxError, ValueError):
        return False  # Whoever reads the video will say so.


def _kind(image: str) -> str:
    """The suffix of an image, as one of the spellings that it has."""
    return Path(image).suffix.lower().replace("jpeg", "jpg").replace("tiff", "tif")


def _few(folders: list[Path]) -> str:
    more = len(folders) - FEW
    return ", ".join(map(str, folders[:FEW])) + (f" and {more} more" if more > 0 else "")
