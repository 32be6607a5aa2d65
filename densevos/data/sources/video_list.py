"""The videos that a text file lists."""

import re
from collections.abc import Iterator
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_image
from densevos.base.text import read_list
from densevos.data.sources.paths import PathSource

HINT = "a list holds one folder or video file a line, and nothing else"
# First words of a header: lists of videos with labels often start with one.
HEADERS = frozenset(
    {
        "path",
        "paths",
        "video",
        "videos",
        "file",
        "files",
        "filename",
        "filepath",
        "name",
        "clip",
        "frames",
    }
)


def video_list(file: Path) -> PathSource:
    """Read a list of frame folders and video files.

    Empty lines, lines that start with # and a header are skipped. If a line has several columns,
    such as a label after the path, the first one is the path.

    Args:
        file: A text file with one path per line, relative to the folder of `file`.

    Returns:
        The videos, in the order of the list.

    Raises:
        InputError: `file` is no text file, or it lists a missing path, or an image instead of its
            folder.
    """
    # Only the first line can be a header.
    lines = read_list(file, HINT)
    if lines and _is_header(file.parent, lines[0]):
        del lines[0]

    return PathSource(file, tuple(_video(file, line) for line in lines))


def _video(file: Path, line: str) -> Path:
    """The video that a line names, with the whole line or with its first column."""
    # The first reading that exists is taken, so a path with spaces needs no quotes.
    existing = (path for path in _readings(file.parent, line) if path.exists())
    video = next(existing, None)
    if video is None:
        raise InputError(
            f"{file}: lists {file.parent / line}, which does not exist; {HINT}, with paths relative"
            " to the list's folder"
        )

    # A list of frames is a likely mistake: each frame would become a video of its own.
    if video.is_file() and is_image(video.name):
        raise InputError(
            f"{file}: lists the image {video}; list its folder, {video.parent}, as one video"
        )

    return video


def _readings(folder: Path, line: str) -> Iterator[Path]:
    """The paths that a line may mean, the longest first: a name may hold a separator itself."""
    yield folder / line
    # The path before each separator, from the last separator to the first.
    ends = [separator.start() for separator in re.finditer(r"\s*[,;]\s*|\s+", line)]
    for end in reversed(ends):
        yield folder / line[:end].strip("\"'")

    yield folder / line.strip("\"'")


def _is_header(folder: Path, line: str) -> bool:
    """Whether a line is a header: it starts with a word of HEADERS and names no existing path."""
    # A video may be called like a header, so an existing path is none.
    words = re.split(r"[\W_]+", line.lower())
    return words[0] in HEADERS and not any(path.exists() for path in _readings(folder, line))
