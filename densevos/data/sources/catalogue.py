"""From a data folder or list to the videos in it."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.sources.readers import IMAGE_SUFFIXES, VIDEO_SUFFIXES


def find_videos(source: Path) -> list[Path]:
    """The frame folders and video files of `source`, sorted.

    `source` is a folder (searched through and through: every folder that directly holds images is one video,
    every video file is one), or a text file with one path a line, relative to the text file's folder.
    Raises InputError when it is missing, empty or lists what is not there.
    """
    source = Path(source)
    if source.is_dir():
        videos = sorted(_walk(source))
    elif source.is_file() and source.suffix.lower() in VIDEO_SUFFIXES:
        videos = [source]
    elif source.is_file():
        videos = _listed(source)
    else:
        raise InputError(f"{source}: no such data folder or list; give a folder of frame folders or video files")
    if not videos:
        raise InputError(f"{source}: holds no frame folders and no video files; give a folder of videos")
    return videos


def fingerprint(videos: Sequence[Path]) -> str:
    """SHA-256 over the videos' names and, for files, sizes: tells whether two runs saw the same list."""
    digest = hashlib.sha256()
    for video in videos:
        size = video.stat().st_size if video.is_file() else 0
        digest.update(f"{video.parent.name}/{video.name}\t{size}\n".encode())
    return digest.hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()
    for where, folders, files in os.walk(folder, followlinks=True):
        if (place := os.path.realpath(where)) in seen:  # a link that leads back: walking it would never end
            folders.clear()
            continue
        seen.add(place)
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        visible = [f for f in files if not f.startswith(".")]
        if any(Path(f).suffix.lower() in IMAGE_SUFFIXES for f in visible):
            yield Path(where)
        yield from (Path(where, f) for f in visible if Path(f).suffix.lower() in VIDEO_SUFFIXES)


def _listed(source: Path) -> list[Path]:
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{source}: is no text file; a list holds one folder or video file a line") from None
    videos = [source.parent / line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for video in videos:
        if not video.exists():
            raise InputError(f"{source}: lists {video}, which is not there; paths are relative to the list's folder")
    return videos
