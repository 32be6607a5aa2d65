"""The videos that a text file lists."""

import re
from collections.abc import Iterator
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.names import is_image
from densevos.base.text import read_list
from densevos.data.sources.paths import PathSource

HINT = "a list holds one folder or video file a line, and nothing else"
# First columns that name what the others hold: lists of videos with labels often begin with such a
# line.
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
    """The frame folders and video files that `file` lists, one a line, relative to the list's
    folder.

    Empty lines and lines that start with # are left out. Of a line with several columns, such as a
    label after the path, the first one counts, and a header is passed over.

    Raises:
        InputError: `file` is no text file, or lists what is not there, or images instead of their
            folder.
    """
    lines = read_list(file, HINT)
    if lines and _is_header(file.parent, lines[0]):
        del lines[0]

    return PathSource(file, tuple(_video(file, line) for line in lines))


def _video(file: Path, line: str) -> Path:
    """The video that one line names, by the line as a whole or by its first column."""
    video = next((path for path in _readings(file.parent, line) if path.exists()), None)
    if video is None:
        raise InputError(
            f"{file}: lists {file.parent / line}, which is not there; {HINT}, with paths relative to the list's folder"
        )

    if video.is_file() and is_image(video.name):
        raise InputError(
            f"{file}: lists the image {video}; list its folder, {video.parent}, as one video"
        )

    return video


def _readings(folder: Path, line: str) -> Iterator[Path]:
    """What a line may mean: all of it, or its beginning before a separator, which a name may hold
    too.
    """
    yield folder / line
    ends = [separator.start() for separator in re.finditer(r"\s*[,;]\s*|\s+", line)]
    for end in reversed(ends):
        yield folder / line[:end].strip("\"'")

    yield folder / line.strip("\"'")


def _is_header(folder: Path, line: str) -> bool:
    """Whether a line names columns; a line that is or begins with a video does not."""
    words = re.split(r"[\W_]+", line.lower())
    return words[0] in HEADERS and not any(path.exists() for path in _readings(folder, line))
