"""Videos that lie on disk as frame folders and video files, however they were found."""

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
    """A `VideoSource` of paths: frame folders and video files in the order of `videos`."""

    root: Path
    """The folder, list or file that the user named."""
    videos: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    """What was left out or is doubtful, a line each."""

    @property
    def names(self) -> list[str]:
        """A name for each video; InputError when two share one. See `folder_names`."""
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
        """SHA-256 over the videos' names and, for files, sizes."""
        digest = hashlib.sha256()
        for video in self.videos:
            size = video.stat().st_size if video.is_file() else 0
            digest.update(name_bytes(f"{video.parent.name}/{video.name}\t{size}\n"))

        return digest.hexdigest()


def folder_names(videos: Sequence[Path]) -> list[str]:
    """A folder name for each video: its own, or with its parent's where two share it.

    Raises:
        InputError: The parent's name does not tell two videos apart.
    """
    stems = [
        video.name if video.is_dir() else video.stem for video in videos
    ]  # a folder's name may hold dots
    times = Counter(stems)
    names = [
        f"{video.parent.name}-{stem}" if times[stem] > 1 else stem
        for video, stem in zip(videos, stems, strict=True)
    ]

    name, most = Counter(names).most_common(1)[0]
    if most > 1:
        raise InputError(f"{name}: two videos have this name; rename one")

    return names
