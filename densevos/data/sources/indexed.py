"""Videos that an index lists: hundreds of thousands of them are there at once, without a look at
any.
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
"""So many videos, spread over the index, tell where they lie; some of them may be gone."""


class IndexedSource:
    """A `VideoSource` of the usable videos of an index, in its order. See `indexed_source`."""

    def __init__(self, file: Path, root: Path, index: VideoIndex):
        self.file, self.root, self.index = file, root, index
        self._rows = np.flatnonzero(index.status == Status.USABLE).astype(np.int32)

    def __len__(self) -> int:
        return len(self._rows)

    def path(self, index: int) -> Path:
        """Where a video lies."""
        return self.root / self.index.paths[int(self._rows[index])]

    def length(self, index: int) -> int:
        """Number of frames of a video by the index."""
        return int(self.index.frames[self._rows[index]])

    def title(self, index: int) -> str:
        """The path of a video."""
        return str(self.path(index))

    def open(self, index: int) -> FrameReader:
        """Open one video; InputError when it is missing, empty or unreadable."""
        return open_frames(self.path(index))

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The index and every folder that holds videos."""
        paths = self.index.paths
        folders = {paths.bytes_of(row).rpartition(b"/")[0] for row in range(len(paths))}
        return (self.file, *(self.root / os.fsdecode(folder) for folder in sorted(folders)))

    @cached_property
    def names(self) -> Sequence[str]:
        """A name for each video, as `folder_names` gives it, but made when it is asked for.

        Raises:
            InputError: The parent's name does not tell two videos apart.
        """
        stems = np.fromiter((hash(self._stem(i)) for i in range(len(self))), np.int64, len(self))
        shared = _repeated(stems)
        names = stems.copy()
        for i in np.flatnonzero(shared).tolist():
            names[i] = hash(self._with_parent(i))

        def name_of(i: int) -> str:
            return self._with_parent(i) if shared[i] else self._stem(i)

        if (twice := _repeated(names)).any():
            raise InputError(
                f"{name_of(int(twice.argmax()))}: two videos have this name; rename one"
            )

        return _MadeWhenAsked(len(self), name_of)

    def identity(self) -> str:
        """SHA-256 over paths, lengths and status of all videos."""
        index = self.index
        digest = hashlib.sha256(index.paths.content)
        for array in (index.paths.offsets, index.frames, index.status):
            digest.update(np.ascontiguousarray(array).tobytes())

        return digest.hexdigest()

    def __getstate__(self) -> dict[str, object]:
        return {
            name: value for name, value in vars(self).items() if name != "names"
        }  # Made anew where it is needed.

    def _stem(self, index: int) -> str:
        row = int(self._rows[index])
        name = self._parts(row)[2]
        return name if self.index.folder[row] else os.path.splitext(name)[0]

    def _with_parent(self, index: int) -> str:
        parent, _, _ = self._parts(int(self._rows[index]))
        return f"{parent.rpartition('/')[2] or self.root.name}-{self._stem(index)}"

    def _parts(self, row: int) -> tuple[str, str, str]:
        path = self.index.paths[row]
        return ("", "", self.root.name) if path == "." else path.rpartition("/")


class _MadeWhenAsked(Sequence[str]):
    """So many texts, each made by a function when it is asked for."""

    def __init__(self, length: int, make: Callable[[int], str]):
        self._length, self._make = length, make

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        chosen = range(self._length)[index]
        return self._make(chosen) if isinstance(chosen, int) else [self._make(i) for i in chosen]


def _repeated(values: np.ndarray) -> np.ndarray:
    """Which values occur more than once, [n] bool."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    repeated: np.ndarray = counts[inverse] > 1
    return repeated


def indexed_source(file: Path) -> IndexedSource:
    """The usable videos of an index.

    They lie below the folder that was indexed or, where none of some videos is there any more,
    below the folder of the index: keep the file in the data's folder and both may move together.

    Raises:
        InputError: The file is no index, lists no usable video, or the data moved away.
    """
    index = read_index(file)
    usable = np.flatnonzero(index.status == Status.USABLE)
    if not len(usable):
        raise InputError(
            f"{file}: none of its {len(index)} videos is usable; densevos data stats {file} says why"
        )

    spread = np.linspace(0, len(usable) - 1, LOOKED_FOR).astype(int)
    some = [index.paths[row] for row in usable[spread].tolist()]
    for root in (Path(index.root), file.resolve().parent):
        if any((root / path).exists() for path in some):
            return IndexedSource(file, root, index)

    raise InputError(
        f"{file}: lists {Path(index.root) / some[0]}, which is not there; if the data moved, put the index into their"
        " folder, or make it again with densevos data index"
    )


def left_out(file: Path, index: VideoIndex) -> str:
    """One line about the videos that are not usable; "" if all are."""
    counts = index.unusable()
    if not counts:
        return ""

    by_reason = ", ".join(f"{count} {MEANING[status]}" for status, count in counts.items())
    return f"{file}: {sum(counts.values())} of {len(index)} videos are left out ({by_reason})"
