"""What a layout is: the contract of the catalogue, and how layouts find their videos."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_hidden
from densevos.data.sources.video_file import VIDEO_SUFFIXES

Finder = Callable[[Path, str], Iterable[str]]
"""(ROOT, split) -> paths of the videos relative to ROOT, with / between names, in any order."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How the videos of a data set lie below the folder ROOT that its archives are unpacked to."""

    name: str
    """What --dataset calls it."""
    title: str
    tree: str
    """Where a video, or a frame of one, lies below ROOT; words in capitals stand for what
    varies.
    """
    splits: tuple[str, ...]
    """Parts of the set; the first one is what is trained on."""
    find: Finder
    """Finds the videos of a split. Raises InputError when ROOT is laid out in another way."""
    rate: float | None
    """Frames per second of the frames as they are distributed; None for video files, each of which
    has its own.
    """
    gap: int | None
    """Frames from one frame of a clip to the next in the recipe below; None where no recipe is made
    for the set.
    """
    recipe: str | None
    """The recipe that trains on it."""
    address: str
    """Where to get it."""
    size: str
    """Of the part that is trained on: number of videos, and bytes where they are known."""
    licence: str


def folders(root: Path, patterns: str) -> Iterator[str]:
    """Visible folders below `root` that match the pattern of each level: `TRAIN_*/frames/*`,
    say.
    """
    return _below(root, "", patterns.split("/"))


def _below(root: Path, parent: str, patterns: list[str]) -> Iterator[str]:
    pattern, *deeper = patterns
    for name in names_of_folders(root / parent):
        if fnmatchcase(name, pattern):
            path = f"{parent}/{name}" if parent else name
            if deeper:
                yield from _below(root, path, deeper)
            else:
                yield path


def files(root: Path, folder: str) -> Iterator[str]:
    """Visible video files anywhere below a folder of `root`; their names may end in capitals."""
    for where, inside, names in os.walk(root / folder, followlinks=True):
        inside[:] = sorted(name for name in inside if not is_hidden(name))
        for name in names:
            if os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES and not is_hidden(name):
                yield os.path.relpath(os.path.join(where, name), root).replace(os.sep, "/")


def names_of_folders(folder: Path) -> list[str]:
    """Names of the visible folders inside a folder, sorted; none where the folder is not there."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries if not is_hidden(entry.name) and entry.is_dir()
            )
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        raise InputError(f"{folder}: folder may not be read; change its permissions") from None


def split_folder(root: Path, split: str) -> str:
    """The folder of a split relative to ROOT, where ROOT may be the folder of that split itself:
    `split` or ".".
    """
    itself = not (root / split).is_dir() and root.resolve().name == split
    return "." if itself else split


def beside(folder: str, pattern: str) -> str:
    """`folder/pattern`, of the folder that `split_folder` gives."""
    return pattern if folder == "." else f"{folder}/{pattern}"
