"""A source of videos in indexed tar shards, as `densevos data pack` writes them.

The index says where each video lies, so any frames of any video are read without the others.
"""

import hashlib
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from densevos.base.errors import InputError
from densevos.data.sources.quick_readers import check_frames, read_ascending
from densevos.data.sources.shard_index import (
    BLOCK,
    INDEX,
    RECORD,
    SETTINGS,
    VERSION,
    ShardIndex,
    content_of,
    frame_suffix,
    member_name,
    padded,
    read_index,
    read_json,
    shard_name,
)
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video import open_content

HINT = "copy or pack it again"


@dataclass(frozen=True)
class Packed:
    """One video in a shard; places are bytes from the start of the shard, see `ShardIndex`."""

    shard: Path
    """The tar file."""
    title: str
    """Name of the video in messages."""
    key: int
    """Number of the video in the source that was packed."""
    start: int
    """Where the first member starts."""
    about: int
    """Where KEY.json starts."""
    stop: int
    """Where the last member ends."""

    def read(self, start: int, stop: int) -> bytes:
        """Read bytes `start` to `stop` of the shard.

        Raises:
            InputError: The shard is missing or truncated.
        """
        parts: list[bytes] = []
        try:
            # Plain system calls without a buffer: exactly the wanted bytes are read.
            file = os.open(self.shard, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            try:
                # One call may return fewer bytes than requested.
                while start < stop and (part := os.pread(file, stop - start, start)):
                    parts.append(part)
                    start += len(part)
            finally:
                os.close(file)
        except OSError as error:
            raise InputError(
                f"{self.title}: shard cannot be read ({error.strerror}); {HINT}"
            ) from error

        if start < stop:
            raise InputError(
                f"{self.title}: shard is truncated ({start} bytes, at least {stop} expected);"
                f" {HINT}"
            )

        return b"".join(parts)

    def member(self, start: int, stop: int, suffix: str) -> bytes:
        """Read the content of a member.

        Args:
            start: Where the member starts.
            stop: Where it ends.
            suffix: End of its name, after KEY and a dot.

        Raises:
            InputError: Another member lies there, or the shard cannot be read.
        """
        try:
            return content_of(self.read(start, stop), member_name(self.key, suffix))
        except ValueError as error:
            raise InputError(
                f"{self.title}: shard does not match its index ({error}); {HINT}"
            ) from error


@dataclass(frozen=True)
class ShardSource:
    """A `VideoSource` of packed videos. It holds no open file: each read opens its shard."""

    root: Path
    """The folder of shards."""
    format: str
    """"jpeg" or "clips"."""
    index: ShardIndex

    @property
    def names(self) -> list[str]:
        """The names that the videos had in the source that was packed."""
        return self.index.all_names()

    @property
    def inputs(self) -> tuple[Path, ...]:
        """The folder of shards."""
        return (self.root,)

    def __len__(self) -> int:
        return len(self.index)

    def title(self, index: int) -> str:
        """Shard and name of a video."""
        return f"{self.root / shard_name(int(self.index.shard[index]))}:{self.index.name(index)}"

    def open(self, index: int) -> FrameReader:
        """Open one video.

        Raises:
            InputError: The shard of the video is missing, truncated, or does not match the index.
        """
        columns = self.index
        packed = Packed(
            self.root / shard_name(int(columns.shard[index])),
            self.title(index),
            int(columns.key[index]),
            int(columns.start[index]),
            int(columns.about[index]),
            int(columns.stop[index]),
        )
        frames = int(columns.frames[index])

        if self.format == "jpeg":
            return JpegReader(packed, frames)
        return ClipReader(packed, frames)

    def identity(self) -> str:
        """SHA-256 of the format and of names, lengths and places of all videos in the index."""
        columns = self.index
        digest = hashlib.sha256(self.format.encode())
        # The shards themselves are too large to be hashed.
        for column in (
            columns.names,
            columns.name_ends,
            columns.frames,
            columns.shard,
            columns.start,
            columns.stop,
        ):
            digest.update(np.ascontiguousarray(column).tobytes())

        return digest.hexdigest()

    def incomplete_shards(self) -> list[str]:
        """One line for each shard that is missing or shorter than the index says."""
        # Where the last video of each shard ends, by the index.
        ends = np.zeros(int(self.index.shard.max()) + 1, np.int64)
        np.maximum.at(ends, self.index.shard, self.index.stop)
        lines = []

        # Sizes are compared, so no shard is read.
        for number in np.flatnonzero(ends):
            file = self.root / shard_name(int(number))
            size = file.stat().st_size if file.is_file() else 0
            if size < ends[number]:
                # A truncated shard still holds the videos that end before the cut.
                stops = self.index.stop[self.index.shard == number]
                lost = int((stops > size).sum())
                fault = f"is truncated to {size} bytes" if file.is_file() else "is missing"
                lines.append(
                    f"{file}: shard {fault}, {lost} of its {len(stops)} videos are left out; {HINT}"
                )

        return lines


class _ShardReader:
    """The common part of the readers of both formats: names and times, from KEY.json."""

    def __init__(self, packed: Packed, frames: int):
        self.path = packed.title
        self._packed = packed
        about = packed.member(packed.about, packed.stop, "json")

        # An index of another packing may point to a valid member with the same key.
        try:
            self._about: dict[str, Any] = read_json(about)
            self.names: list[str] = self._about["names"]
            if len(self.names) != frames:
                raise ValueError(f"{len(self.names)} frames instead of {frames}")
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path}: shard does not match its index ({error}); {HINT}"
            ) from error

    def __len__(self) -> int:
        return len(self.names)

    def seconds(self) -> np.ndarray | None:
        times = self._about.get("seconds")
        return None if times is None else np.array(times)


class JpegReader(_ShardReader):
    """A FrameReader of JPEG frames in a shard; it reads only the frames that are requested.

    Args:
        packed: Where the video lies.
        frames: Its number of frames, by the index.

    Raises:
        InputError: The shard is missing, truncated, or does not match the index.
    """

    def __init__(self, packed: Packed, frames: int):
        super().__init__(packed, frames)
        # A member takes a header of one block and its content, padded to whole blocks.
        spaces = [BLOCK + padded(size) for size in self._about["sizes"]]
        self._starts = packed.start + np.concatenate([[0], np.cumsum(spaces)])

        # KEY.json follows the last frame.
        if self._starts[-1] != packed.about:
            raise InputError(
                f"{self.path}: shard does not match its index (sizes of frames); {HINT}"
            )

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return read_ascending(self._decode, indices)

    def _decode(self, ascending: list[int]) -> np.ndarray:
        check_frames(self.path, ascending, len(self))
        return np.stack([self._frame(index) for index in ascending])

    def _frame(self, index: int) -> np.ndarray:
        # Offsets come from the sizes in KEY.json, so one read fetches the frame.
        start, stop = int(self._starts[index]), int(self._starts[index + 1])
        content = self._packed.member(start, stop, frame_suffix(index))
        try:
            with Image.open(io.BytesIO(content)) as image:
                return np.asarray(image.convert("RGB"))
        except Exception as error:  # Pillow raises exceptions of any type on a damaged file.
            raise InputError(
                f"{self.path}: frame {index:05d} cannot be read ({error}); {HINT}"
            ) from error


class ClipReader(_ShardReader):
    """A FrameReader of a video with frequent key frames in a shard; it is decoded from memory.

    Args:
        packed: Where the video lies.
        frames: Its number of frames, by the index.

    Raises:
        InputError: The shard is missing, truncated, or does not match the index.
    """

    def __init__(self, packed: Packed, frames: int):
        super().__init__(packed, frames)
        self._video = open_content(self.path, packed.member(packed.start, packed.about, "mp4"))
        if len(self._video) != frames:
            raise InputError(
                f"{self.path}: shard does not match its index ({len(self._video)} frames); {HINT}"
            )

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self._video.read(indices)


def is_shards(path: Path) -> bool:
    """Whether `path` is a folder of packed videos, finished or not."""
    return (path / RECORD).is_file() or (path / SETTINGS).is_file()


def open_shards(root: Path) -> ShardSource:
    """Open a folder of packed videos.

    Args:
        root: The folder that `densevos data pack` wrote.

    Returns:
        The source.

    Raises:
        InputError: Packing is not finished, the record or the index cannot be read, or the folder
            holds no videos.
    """
    record = root / RECORD
    if not record.is_file():
        raise InputError(
            f"{root}: packing is not finished; repeat `densevos data pack`, which goes on"
        )

    try:
        facts = read_json(record.read_bytes())
        # The record is written last, so its presence means that packing is finished.
        version, format = facts["version"], facts["format"]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{record}: is no record of shards ({error}); pack them again") from error

    if version != VERSION or format not in ("jpeg", "clips"):
        raise InputError(
            f"{record}: format {format} in version {version} is not known here; update densevos"
        )

    # Shards are not opened here: there may be thousands of them.
    source = ShardSource(root, format, read_index(root / INDEX))
    if not len(source):
        raise InputError(f"{root}: holds no videos; pack them again")

    return source
