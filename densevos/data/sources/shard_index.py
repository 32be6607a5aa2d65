"""The format of packed videos: tar files, and one index of the places of videos in them.

    SHARDS/shard-00000.tar   of each video: KEY.00000.jpg, KEY.00001.jpg, ... or KEY.mp4,
                             then KEY.json
    SHARDS/index.npz         columns over all videos, see `ShardIndex`
    SHARDS/shards.json       settings of the packing; written last

KEY is the number of the video in the source that was packed, in eight digits; WebDataset takes all
members with the same KEY for one sample. KEY.json holds the name of the video, and the name, time
and size in bytes of each frame.
"""

import json
import tarfile
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import atomic_write, name_bytes

INDEX, RECORD, SETTINGS = "index.npz", "shards.json", "pack.json"
VERSION = 1
BLOCK = tarfile.BLOCKSIZE
END = bytes(2 * BLOCK)
"""The end of a tar file: two blocks of zeros."""


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """Where videos lie: one row per video, in the order of the source that was packed."""

    shard: np.ndarray
    """Number of the tar file, [videos] int32."""
    key: np.ndarray
    """Number of the video in the source that was packed, [videos] int32."""
    start: np.ndarray
    """Where the first member of the video starts in the tar file, bytes, [videos] int64."""
    about: np.ndarray
    """Where KEY.json starts in the tar file, bytes, [videos] int64."""
    stop: np.ndarray
    """Where the last member of the video ends in the tar file, bytes, [videos] int64."""
    frames: np.ndarray
    """Number of frames, [videos] int32."""
    width: np.ndarray
    """Width of the frames, pixels, [videos] int32."""
    height: np.ndarray
    """Height of the frames, pixels, [videos] int32."""
    names: np.ndarray
    """Names of all videos in UTF-8, one after the other, [bytes] uint8."""
    name_ends: np.ndarray
    """Where the name of each video ends in `names`, [videos] int64."""

    def __len__(self) -> int:
        return len(self.key)

    def name(self, video: int) -> str:
        """The name of a video in the source that was packed."""
        # Names lie end to end, so a name starts where the one before it ends.
        start = self.name_ends[video - 1] if video else 0
        encoded = self.names[start : self.name_ends[video]].tobytes()
        return encoded.decode("utf-8", "surrogateescape")

    def all_names(self) -> list[str]:
        """The names of all videos."""
        # Converted once: `name` for each of millions of videos would be slow.
        joined, ends = self.names.tobytes(), self.name_ends.tolist()
        names = []
        for start, end in pairwise([0, *ends]):
            names.append(joined[start:end].decode("utf-8", "surrogateescape"))

        return names


def joined_names(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Encode names as the columns `names` and `name_ends` of a ShardIndex."""
    # One buffer instead of an array of strings: names differ in length.
    encoded = [name_bytes(name) for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


def write_index(file: Path, index: ShardIndex) -> None:
    """Write an index in one atomic step."""
    with atomic_write(file) as opened:
        np.savez(opened, **{field.name: getattr(index, field.name) for field in fields(ShardIndex)})


def read_index(file: Path) -> ShardIndex:
    """Read an index.

    Raises:
        InputError: The file is missing or damaged.
    """
    try:
        with np.load(file, allow_pickle=False) as columns:
            index = ShardIndex(**{field.name: columns[field.name] for field in fields(ShardIndex)})
    except Exception as error:  # numpy raises exceptions of any type on a damaged archive.
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(
            f"{file}: index of shards cannot be read ({reason}); copy or pack the shards again"
        ) from error

    # Every column but `names` has one value per video.
    lengths = set()
    for field in fields(ShardIndex):
        if field.name != "names":
            lengths.add(len(getattr(index, field.name)))

    if len(lengths) != 1:
        raise InputError(
            f"{file}: columns of the index differ in length; copy or pack the shards again"
        )

    return index


def shard_name(number: int) -> str:
    """The name of a shard's tar file."""
    return f"shard-{number:05d}.tar"


def member_name(key: int, suffix: str) -> str:
    """The name of a member of a video."""
    return f"{key:08d}.{suffix}"


def frame_suffix(number: int) -> str:
    """The end of the member name of JPEG frame `number`, after KEY and a dot."""
    return f"{number:05d}.jpg"


def padded(size: int) -> int:
    """Bytes that `size` bytes of content take in a tar file: whole blocks."""
    return -(-size // BLOCK) * BLOCK


def member(name: str, content: bytes) -> bytes:
    """The bytes of a tar member: header, content, and zeros up to a whole block."""
    # Time, owner and mode keep their defaults: the same video gives the same bytes.
    header = tarfile.TarInfo(name)
    header.size = len(content)
    padding = bytes(padded(len(content)) - len(content))
    return header.tobuf(tarfile.USTAR_FORMAT) + content + padding


def content_of(block: bytes, name: str) -> bytes:
    """Extract the content of a tar member.

    Args:
        block: Bytes that start with the member.
        name: The expected name of the member.

    Raises:
        ValueError: The member is incomplete, damaged, or has another name.
    """
    try:
        # The header has a checksum, so bytes that are no header are noticed.
        header = tarfile.TarInfo.frombuf(block[:BLOCK], "utf-8", "strict")
    except tarfile.HeaderError as error:
        raise ValueError(f"{name} is damaged, {error}") from error

    # A wrong index or a truncated shard leads to other or too few bytes.
    if header.name != name or BLOCK + header.size > len(block):
        raise ValueError(f"{name} is not where the index says")

    return block[BLOCK : BLOCK + header.size]


def read_json(content: bytes) -> dict[str, Any]:
    """Parse a JSON object; ValueError for anything else."""
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")

    return value
