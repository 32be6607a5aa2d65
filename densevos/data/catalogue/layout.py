"""The contract of a layout in the catalogue, and functions that help layouts find videos."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_hidden
from densevos.data.sources.video_file import VIDEO_SUFFIXES

Finder = Callable[[Path, str], Iterable[str]]
"""(ROOT, split) -> paths of the videos relative to ROOT, separated by /, in any order."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layout of a dataset below the folder ROOT that its archives are unpacked to."""

    name: str
    """Value of --dataset."""
    title: str
    """Name of the dataset in messages."""
    tree: str
    """Path of a video, or of a frame, below ROOT; words in capitals stand for varying parts."""
    splits: tuple[str, ...]
    """Splits of the dataset; the first one is used for training."""
    find: Finder
    """Finds the videos of a split; raises InputError if ROOT has another layout."""
    rate: float | None
    """Frames per second of frames as they are distributed; None for video files."""
    gap: int | None
    """Frames between two frames of a clip in `recipe`; None without a recipe."""
    recipe: str | None
    """Name of the recipe that trains on the dataset; None if there is none."""
    address: str
    """Web page with the downloads."""
    size: str
    """Number of videos in the training split, and its size on disk if known."""
    licence: str
    """Licence of annotations and videos."""


def folders(root: Path, patterns: str) -> Iterator[str]:
    """Find visible folders by one pattern per level.

    Args:
        root: The folder to search.
        patterns: Patterns separated by /, such as `TRAIN_*/frames/*`.

    Yields:
        Paths relative to `root`, with / between names.
    """
    return _below(root, "", patterns.split("/"))


def _below(root: Path, parent: str, patterns: list[str]) -> Iterator[str]:
    """The folders below `root`/`parent` that match; `parent` is relative to `root`."""
    # One level per call: folders that do not match are not searched further.
    pattern, deeper = patterns[0], patterns[1:]
    for name in names_of_folders(root / parent):
        if not fnmatchcase(name, pattern):
            continue

        path = f"{parent}/{name}" if parent else name
        if deeper:
            yield from _below(root, path, deeper)
        else:
            yield path


def files(root: Path, folder: str) -> Iterator[str]:
    """Find visible video files anywhere below a folder; suffixes may be in capitals.

    Args:
        root: The folder that paths are relative to.
        folder: The folder to search, relative to `root`.

    Yields:
        Paths relative to `root`, with / between names.
    """
    for where, subfolders, names in os.walk(root / folder, followlinks=True):
        # os.walk descends into the folders that stay in its own list.
        subfolders[:] = sorted(name for name in subfolders if not is_hidden(name))
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            if suffix in VIDEO_SUFFIXES and not is_hidden(name):
                # Paths in an index are the same on every system.
                path = os.path.relpath(os.path.join(where, name), root)
                yield path.replace(os.sep, "/")


def names_of_folders(folder: Path) -> list[str]:
    """Names of the visible folders inside a folder, sorted; empty if the folder is missing.

    Raises:
        InputError: The folder may not be read.
    """
    try:
        with os.scandir(folder) as entries:
            # An entry of scandir knows its kind, which spares a look at every file of a large
            # folder.
            visible = (entry for entry in entries if not is_hidden(entry.name))
            return sorted(entry.name for entry in visible if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        # A layout may look in several places, so a missing folder is no error here.
        return []
    except PermissionError:
        raise InputError(f"{folder}: folder may not be read; change its permissions") from None


def split_folder(root: Path, split: str) -> str:
    """The folder of a split relative to ROOT: `split`, or "." if ROOT is that folder itself."""
    # Users also name the folder of the split itself; resolved, so that "." has a name.
    root_is_split = not (root / split).is_dir() and root.resolve().name == split
    return "." if root_is_split else split


def beside(folder: str, pattern: str) -> str:
    """Join a result of `split_folder` and a pattern."""
    if folder == ".":
        return pattern
    return f"{folder}/{pattern}"
