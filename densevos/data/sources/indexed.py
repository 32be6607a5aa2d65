"""A source of the videos that an index lists; it starts at once, as it reads no video.

An index may list hundreds of thousands of videos, so paths and names are made one by one on demand.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import overload

import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.index_file import MEANING, Status, VideoIndex, read_index
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video import open_frames

LOOKED_FOR = 5
"""Number of videos, spread over the index, that are looked for to find the folder of all."""


class IndexedSource:
    """A `VideoSource` of the usable videos of an index, in its order; see `indexed_source`."""

    def __init__(self, file: Path, root: Path, index: VideoIndex):
        self.file, self.root, self.index = file, root, index
        # Row of each video in the index, [videos]; unusable ones have no number.
        self._rows = np.flatnonzero(index.status == Status.USABLE).astype(np.int32)

    def __len__(self) -> int:
        return len(self._rows)

    def path(self, index: int) -> Path:
        """The path of a video."""
        return self.root / self.index.paths[int(self._rows[index])]

    def length(self, index: int) -> int:
        """Number of frames of a video, as the index lists it."""
        return int(self.index.frames[self._rows[index]])

    def title(self, index: int) -> str:
        """The path of a video, for messages."""
        return str(self.path(index))

    def open(self, index: int) -> FrameReader:
        """Open one video; InputError when it is missing, empty or unreadable."""
        return open_frames(self.path(index))

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The index and every folder that holds videos."""
        # Folders, as they are far fewer than videos.
        paths = self.index.paths
        folders = {paths.bytes_of(row).rpartition(b"/")[0] for row in range(len(paths))}
        return (self.file, *(self.root / os.fsdecode(folder) for folder in sorted(folders)))

    @cached_property
    def names(self) -> Sequence[str]:
        """A unique name for each video, as of `folder_names`, but made on demand.

        Raises:
            InputError: Two videos share their names and those of their parents.
        """
        # Hashes are compared instead of the names: they take 8 bytes per video.
        count = len(self)
        stem_hashes = np.fromiter((hash(self._stem(i)) for i in range(count)), np.int64, count)

        # Videos that share their stem are called PARENT-STEM.
        shared = _repeated(stem_hashes)
        name_hashes = stem_hashes.copy()
        for i in np.flatnonzero(shared).tolist():
            name_hashes[i] = hash(self._with_parent(i))

        # Names are made again on demand: hundreds of thousands of them take much memory.
        def name_of(i: int) -> str:
            return self._with_parent(i) if shared[i] else self._stem(i)

        repeated = _repeated(name_hashes)
        if repeated.any():
            name = name_of(int(repeated.argmax()))
            raise InputError(f"{name}: two videos have this name; rename one")

        return _NamesOnDemand(count, name_of)

    def identity(self) -> str:
        """SHA-256 of the paths, lengths and status of all videos."""
        # The paths are relative, so the identity stays the same when the data moves.
        index = self.index
        digest = hashlib.sha256(index.paths.content)
        for array in (index.paths.offsets, index.frames, index.status):
            digest.update(np.ascontiguousarray(array).tobytes())

        return digest.hexdigest()

    def __getstate__(self) -> dict[str, object]:
        # Names hold a function, which cannot be pickled; a copy makes its own when needed.
        state = dict(vars(self))
        state.pop("names", None)
        return state

    def _stem(self, index: int) -> str:
        row = int(self._rows[index])
        name = self._parts(row)[2]
        if self.index.folder[row]:
            return name
        return os.path.splitext(name)[0]

    def _with_parent(self, index: int) -> str:
        parent, _, _ = self._parts(int(self._rows[index]))
        parent_name = parent.rpartition("/")[2] or self.root.name
        return f"{parent_name}-{self._stem(index)}"

    def _parts(self, row: int) -> tuple[str, str, str]:
        """Parent, separator and name of a video; an index of one frame folder lists it as "."."""
        path = self.index.paths[row]
        if path == ".":
            return "", "", self.root.name
        return path.rpartition("/")


class _NamesOnDemand(Sequence[str]):
    """A sequence of names that a function makes on demand."""

    def __init__(self, length: int, make: Callable[[int], str]):
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        # The range checks the index and resolves negative numbers and slices.
        chosen = range(self._length)[index]
        if isinstance(chosen, int):
            return self._make(chosen)
        return [self._make(i) for i in chosen]


def _repeated(values: np.ndarray) -> np.ndarray:
    """For each value whether it occurs more than once, [n] bool."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    repeated: np.ndarray = counts[inverse] > 1
    return repeated


def indexed_source(file: Path) -> IndexedSource:
    """Open the usable videos of an index.

    Videos are looked for below the folder that was indexed, then below the folder of the index
    file. So the data can be moved if the index file lies in its folder.

    Args:
        file: FILE.npz, which `densevos data index` wrote.

    Returns:
        The source.

    Raises:
        InputError: The file is no index, lists no usable video, or its videos have moved.
    """
    index = read_index(file)
    usable = np.flatnonzero(index.status == Status.USABLE)
    if not len(usable):
        raise InputError(
            f"{file}: none of its {len(index)} videos is usable;"
            f" densevos data stats {file} lists the reasons"
        )

    # A few videos show which folder is the right one; some of them may be deleted.
    spread = np.linspace(0, len(usable) - 1, LOOKED_FOR).astype(int)
    samples = [index.paths[row] for row in usable[spread].tolist()]
    for root in (Path(index.root), file.resolve().parent):
        if any((root / path).exists() for path in samples):
            return IndexedSource(file, root, index)

    raise InputError(
        f"{file}: lists {Path(index.root) / samples[0]}, which does not exist; if the data moved,"
        " put the index into their folder, or make it again with densevos data index"
    )


def left_out(file: Path, index: VideoIndex) -> str:
    """One line about the unusable videos of an index; "" if there are none."""
    counts = index.unusable()
    if not counts:
        return ""

    by_reason = ", ".join(f"{count} {MEANING[status]}" for status, count in counts.items())
    return f"{file}: {sum(counts.values())} of {len(index)} videos are left out ({by_reason})"
