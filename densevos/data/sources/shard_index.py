"""The form of packed videos: tar files, and one index of what lies where in them.

    SHARDS/shard-00000.tar   members KEY.00000.jpg, KEY.00001.jpg, ... or KEY.mp4, then KEY.json, of
    each video SHARDS/index.npz         columns over all videos, see `ShardIndex`
    SHARDS/shards.json       how they were packed; written last

KEY is the number of the video in the source that was packed, in eight digits, so that WebDataset
takes all members of a video for one sample. KEY.json says what the video is called, and the name,
time and size of each frame.
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
"""What a tar file ends in."""


@dataclass(frozen=True, kw_only=True)
class ShardIndex:
    """Where videos lie: one row a video, in the order of the source that was packed."""

    shard: np.ndarray
    """The number of its tar file, [videos] int32."""
    key: np.ndarray
    """Its number in the source that was packed, [videos] int32."""
    start: np.ndarray
    """Where its first member begins in the tar file, [videos] int64 bytes."""
    about: np.ndarray
    """Where KEY.json begins, [videos] int64."""
    stop: np.ndarray
    """Where its last member ends, [videos] int64."""
    frames: np.ndarray
    """Its number of frames, [videos] int32."""
    width: np.ndarray
    """In pixels, [videos] int32."""
    height: np.ndarray
    """In pixels, [videos] int32."""
    names: np.ndarray
    """The names of all videos, one after the other, [bytes] uint8."""
    name_ends: np.ndarray
    """Where in `names` that of each video ends, [videos] int64."""

    def __len__(self) -> int:
        return len(self.key)

    def name(self, video: int) -> str:
        """The name of a video in the source that was packed."""
        begin = self.name_ends[video - 1] if video else 0
        return (
            self.names[begin : self.name_ends[video]].tobytes().decode("utf-8", "surrogateescape")
        )

    def all_names(self) -> list[str]:
        """The names of all videos."""
        joined, ends = self.names.tobytes(), self.name_ends.tolist()
        return [
            joined[begin:end].decode("utf-8", "surrogateescape")
            for begin, end in pairwise([0, *ends])
        ]


def joined_names(names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """`names` and `name_ends` of a ShardIndex."""
    encoded = [name_bytes(name) for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends


def write_index(file: Path, index: ShardIndex) -> None:
    """Write an index, atomically."""
    with atomic_write(file) as opened:
        np.savez(opened, **{field.name: getattr(index, field.name) for field in fields(ShardIndex)})


def read_index(file: Path) -> ShardIndex:
    """Read an index; InputError when it is missing or damaged."""
    try:
        with np.load(file, allow_pickle=False) as columns:
            index = ShardIndex(**{field.name: columns[field.name] for field in fields(ShardIndex)})
    except Exception as error:  # Whatever a damaged archive makes numpy stumble over.
        reason = next(iter(str(error).splitlines()), "") or type(error).__name__
        raise InputError(
            f"{file}: index of shards cannot be read ({reason}); copy or pack the shards again"
        ) from error

    if (
        len(
            {
                len(getattr(index, field.name))
                for field in fields(ShardIndex)
                if field.name != "names"
            }
        )
        != 1
    ):
        raise InputError(
            f"{file}: columns of the index differ in length; copy or pack the shards again"
        )

    return index


def shard_name(number: int) -> str:
    """The name of a tar file."""
    return f"shard-{number:05d}.tar"


def member_name(key: int, suffix: str) -> str:
    """The name of a member."""
    return f"{key:08d}.{suffix}"


def frame_suffix(number: int) -> str:
    """The end of the name of a JPEG frame, after KEY and a dot."""
    return f"{number:05d}.jpg"


def padded(size: int) -> int:
    """Bytes that `size` bytes of content take in a tar file."""
    return -(-size // BLOCK) * BLOCK


def member(name: str, content: bytes) -> bytes:
    """A member of a tar file: its header, its content, and zeros up to a whole block."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    return header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(padded(len(content)) - len(content))


def content_of(block: bytes, name: str) -> bytes:
    """The content of the member that `block` begins with; ValueError when that is not whole or not
    called `name`.
    """
    try:
        header = tarfile.TarInfo.frombuf(block[:BLOCK], "utf-8", "strict")
    except tarfile.HeaderError as error:
        raise ValueError(f"{name} is damaged, {error}") from error

    if header.name != name or BLOCK + header.size > len(block):
        raise ValueError(f"{name} is not where the index says")

    return block[BLOCK : BLOCK + header.size]


def read_json(content: bytes) -> dict[str, Any]:
    """An object of JSON; ValueError for anything else."""
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("no JSON object")

    return value
