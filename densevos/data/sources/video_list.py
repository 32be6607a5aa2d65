"""The videos that a text file lists."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.sources.paths import PathSource


def video_list(file: Path) -> PathSource:
    """The frame folders and video files that `file` lists, one a line, relative to the list's folder.

    Empty lines and lines that start with # are left out.

    Raises:
        InputError: `file` is no text file, or lists what is not there.
    """
    # Names of files may be of any encoding.
    text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    if "\0" in text:
        raise InputError(f"{file}: is no text file; a list holds one folder or video file a line")
    lines = text.splitlines()

    listed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    videos = tuple(file.parent / line for line in listed)
    for video in videos:
        if not video.exists():
            raise InputError(f"{file}: lists {video}, which is not there; paths are relative to the list's folder")
    return PathSource(file, videos)
