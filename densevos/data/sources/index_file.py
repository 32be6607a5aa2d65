"""The index of videos: one file with path, length, size and status of each video."""

# Shapes: n videos of the index, m rows of a choice.

import itertools
import json
import zipfile
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import atomic_write
from densevos.base.packed import PackedStrings

FORMAT = 1
HINT = "make it again with densevos data index"


class Status(IntEnum):
    """Whether a video is usable, or why it is not."""

    USABLE = 0
    UNREADABLE = 1
    """It cannot be opened: it is missing, truncated, or no video."""
    HUNG = 2
    """Reading it took longer than the time limit."""
    CRASHED = 3
    """Reading it killed the process."""
    DAMAGED = 4
    """It can be opened, but one of the frames that were checked cannot be decoded."""


MEANING = {
    Status.USABLE: "usable",
    Status.UNREADABLE: "cannot be opened",
    Status.HUNG: "took too long",
    Status.CRASHED: "killed the reading process",
    Status.DAMAGED: "cannot be decoded",
}

COLUMNS = {
    "folder": np.bool_,
    "frames": np.int32,
    "width": np.int32,
    "height": np.int32,
    "rate": np.float32,
    "status": np.uint8,
}
"""Arrays with one value per video, and their types."""


@dataclass(frozen=True, kw_only=True)
class VideoIndex:
    """n videos, sorted by path."""

    root: str
    """The folder that paths are relative to."""
    dataset: str
    """Name of the layout."""
    split: str
    paths: PackedStrings
    """Path of each video relative to `root`."""
    folder: np.ndarray
    """Whether the video is a folder of frames, [n] bool; otherwise it is a file."""
    frames: np.ndarray
    """Number of frames, [n] int32, by the header of a file or the images of a folder."""
    width: np.ndarray
    """Width as stored, before rotation, pixels, [n] int32; 0 if unknown."""
    height: np.ndarray
    """Height as stored, before rotation, pixels, [n] int32; 0 if unknown."""
    rate: np.ndarray
    """Frames per second, [n] float32; 0 if unknown."""
    status: np.ndarray
    """A Status for each video, [n] uint8."""
    reasons: PackedStrings
    """Why a video is unusable, one line per video; "" for usable ones."""

    def __len__(self) -> int:
        return len(self.paths)

    def take(self, rows: np.ndarray) -> "VideoIndex":
        """The index of the videos in `rows` [m], in their order."""
        chosen: dict[str, Any] = {name: getattr(self, name)[rows] for name in COLUMNS}
        for name in ("paths", "reasons"):
            texts = getattr(self, name)
            chosen[name] = PackedStrings.of(texts[int(row)] for row in rows)

        return replace(self, **chosen)

    def unusable(self) -> dict[Status, int]:
        """Number of videos for each status that occurs, except usable."""
        # One count for every status, so that a status is the position of its count.
        counts = np.bincount(self.status, minlength=len(Status))
        unusable: dict[Status, int] = {}
        for status in Status:
            if status != Status.USABLE and counts[status]:
                unusable[status] = int(counts[status])

        return unusable


def write_index(file: Path, index: VideoIndex) -> None:
    """Write an index to `file`, which must end in .npz, in one atomic step."""
    about = {"format": FORMAT, "root": index.root, "dataset": index.dataset, "split": index.split}
    arrays: dict[str, Any] = {
        name: np.asarray(getattr(index, name), kind) for name, kind in COLUMNS.items()
    }

    # Texts are stored as bytes with offsets, which numpy reads without pickle.
    for name in ("paths", "reasons"):
        texts: PackedStrings = getattr(index, name)
        arrays[name] = np.frombuffer(texts.content, np.uint8)
        arrays[f"{name}_offsets"] = texts.offsets

    with atomic_write(file) as opened:
        np.savez(opened, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)


def read_index(file: Path) -> VideoIndex:
    """Read an index.

    Raises:
        InputError: The file is missing, damaged or no index of videos.
    """
    try:
        with open(file, "rb") as opened, np.load(opened, allow_pickle=False) as arrays:
            about = json.loads(arrays["about"].tobytes())
            # The other values of `about` are fields of VideoIndex.
            if about.pop("format") != FORMAT:
                raise InputError(f"{file}: is an index of another version; {HINT}")

            columns: dict[str, Any] = {name: arrays[name] for name in COLUMNS}
            for name in ("paths", "reasons"):
                columns[name] = PackedStrings(arrays[name].tobytes(), arrays[f"{name}_offsets"])

            return VideoIndex(**about, **columns)
    except FileNotFoundError:
        raise InputError(f"{file}: no such index of videos; {HINT}") from None
    except PermissionError:
        raise InputError(f"{file}: may not be read; change its permissions") from None
    except (  # Errors of numpy, zipfile and json on files of any content.
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        EOFError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        raise InputError(f"{file}: is no index of videos, or a damaged one; {HINT}") from error


def merged(indexes: list[VideoIndex], names: list[str]) -> VideoIndex:
    """Merge indexes to one, sorted by path.

    Args:
        indexes: The indexes of the shards of one dataset.
        names: Name of each index in messages.

    Returns:
        The index of all videos.

    Raises:
        InputError: Two indexes hold the same video, or they are of different datasets.
    """
    # Merging indexes of different datasets would mix paths of different folders.
    first = indexes[0]
    for other, name in zip(indexes[1:], names[1:], strict=True):
        for field in ("root", "dataset", "split"):
            theirs, ours = getattr(other, field), getattr(first, field)
            if theirs != ours:
                raise InputError(
                    f"{name}: its {field} is {theirs}, that of {names[0]} {ours};"
                    " merge indexes of one dataset"
                )

    # Path of each video, the number of its index, and its row there.
    rows: list[tuple[str, int, int]] = []
    for k, index in enumerate(indexes):
        rows += [(path, k, row) for row, path in enumerate(index.paths)]

    rows.sort()

    # After sorting, equal paths are neighbours.
    for (path, k, _), (next_path, next_k, _) in itertools.pairwise(rows):
        if path == next_path:
            raise InputError(
                f"{names[k]} and {names[next_k]}: both hold {path}; merge each shard once"
            )

    # Columns are joined in the order of the indexes, then put in the order of paths.
    starts = np.cumsum([0, *map(len, indexes)])
    order = np.array([starts[k] + row for _, k, row in rows], np.int64)
    columns: dict[str, Any] = {}
    for name in COLUMNS:
        columns[name] = np.concatenate([getattr(index, name) for index in indexes])[order]

    return replace(
        first,
        paths=PackedStrings.of(path for path, _, _ in rows),
        reasons=PackedStrings.of(indexes[k].reasons[row] for _, k, row in rows),
        **columns,
    )
