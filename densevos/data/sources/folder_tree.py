"""Every video below a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from densevos.data.sources.images import IMAGE_SUFFIXES
from densevos.data.sources.paths import PathSource
from densevos.data.sources.video_file import VIDEO_SUFFIXES


def folder_tree(folder: Path) -> PathSource:
    """Every folder below `folder` that directly holds images, and every video file, sorted by path.

    Links are followed, each place once. Names that start with a dot are left out.
    """
    return PathSource(folder, tuple(sorted(_walk(folder))))


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
