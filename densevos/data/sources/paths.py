"""A source of frame folders and video files on disk."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.files import name_bytes
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video import open_frames


@dataclass(frozen=True)
class PathSource:
    """A `VideoSource` of frame folders and video files, in the order of `videos`."""

    root: Path
    """The folder, list or file that the user named."""
    videos: tuple[Path, ...]
    """Frame folders and video files."""
    notes: tuple[str, ...] = ()
    """One line for each kind of file that was left out or may be no video."""

    @property
    def names(self) -> list[str]:
        """A unique name for each video, see `folder_names`; InputError when two share one."""
        return folder_names(self.videos)

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The root and every video."""
        return (self.root, *self.videos)

    def __len__(self) -> int:
        return len(self.videos)

    def title(self, index: int) -> str:
        """The path of a video."""
        return str(self.videos[index])

    def open(self, index: int) -> FrameReader:
        """Open one video; InputError when it is missing, empty or unreadable."""
        return open_frames(self.videos[index])

    def identity(self) -> str:
        """SHA-256 of the names of all videos and of the sizes of video files."""
        digest = hashlib.sha256()
        # Not the full path: the data may move. A re-encoded file has another size.
        for video in self.videos:
            size = video.stat().st_size if video.is_file() else 0
            digest.update(name_bytes(f"{video.parent.name}/{video.name}\t{size}\n"))

        return digest.hexdigest()


def folder_names(videos: Sequence[Path]) -> list[str]:
    """Make a unique folder name for each video.

    A video is called by its own name, or PARENT-NAME if several videos share the name.

    Args:
        videos: Frame folders and video files.

    Raises:
        InputError: Two videos share their names and those of their parents.
    """
    # The name of a folder may hold dots, so it has no suffix to remove.
    stems = [video.name if video.is_dir() else video.stem for video in videos]
    # Only names that are shared get the parent's name, so most results keep short names.
    times = Counter(stems)

    names = []
    for video, stem in zip(videos, stems, strict=True):
        if times[stem] > 1:
            names.append(f"{video.parent.name}-{stem}")
        else:
            names.append(stem)

    # Results of two videos in one folder would overwrite each other.
    name, most = Counter(names).most_common(1)[0]
    if most > 1:
        raise InputError(f"{name}: two videos have this name; rename one")

    return names
