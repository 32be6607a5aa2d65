"""One video on disk, whatever its kind, and which decoder reads it."""

import os
import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.sources.frame_folder import FolderReader
from densevos.data.sources.quick_readers import (
    DecordReader,
    MemoryReader,
    QuickReader,
    TorchcodecReader,
)
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video_file import AvReader
from densevos.data.sources.video_proof import proved_times

READER = "DENSEVOS_READER"
"""The environment variable that names a decoder; its value is looked up whenever a video is
opened.
"""
DECODERS = {"torchcodec": "torchcodec.decoders", "decord": "decord", "pyav": "av"}
"""What may be named there, and the module of each."""
QUICK: dict[str, type[QuickReader]] = {"torchcodec": TorchcodecReader, "decord": DecordReader}
"""Decoders with quick random access, the preferred one first."""


def open_frames(path: Path | str) -> FrameReader:
    """Open a folder of images or a video file; InputError when it is missing, empty or
    unreadable.
    """
    path = Path(path)
    if path.is_dir():
        return FolderReader(path)
    if not path.exists():
        raise InputError(f"{path}: no such frame folder or video file")

    return _proved_reader(path) or AvReader(path)


def open_content(title: str, content: bytes) -> FrameReader:
    """Open a video file of frames that may be read in any order, which lies in memory; InputError
    names its `title`.
    """
    for reader in quick_readers():
        try:
            return reader(title, content)
        except InputError:
            continue

    return MemoryReader(title, content)


def quick_readers() -> list[type[QuickReader]]:
    """The readers to try, in this order, for files that may be read in any order; empty: PyAV reads
    them.

    By default torchcodec, where it loads, then decord. As torchcodec loads torch, which takes
    seconds and hundreds of megabytes, processes without torch leave it out.
    DENSEVOS_READER=torchcodec, decord or pyav asks for one.

    Raises:
        InputError: DENSEVOS_READER names no decoder, or one that does not load here.
    """
    asked = os.environ.get(READER, "auto")
    if asked == "auto":
        names = [name for name in QUICK if name != "torchcodec" or "torch" in sys.modules]
        return [QUICK[name] for name in names if loading_problem(name) is None]

    if asked not in DECODERS:
        raise InputError(f"{READER}={asked}: is no decoder; give auto, {', '.join(DECODERS)}")
    if problem := loading_problem(asked):
        raise InputError(
            f"{READER}={asked}: does not load ({problem}); install it or unset {READER}"
        )

    return [QUICK[asked]] if asked in QUICK else []


@lru_cache
def loading_problem(name: str) -> str | None:
    """Why a decoder, torchcodec, decord or pyav, cannot be loaded here, in one line; None if it
    can.
    """
    try:
        import_module(DECODERS[name])
    except ModuleNotFoundError as error:
        return str(error)
    except (
        Exception
    ) as error:  # torchcodec raises a long RuntimeError where FFmpeg's libraries are missing.
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return f"{type(error).__name__}: {line[:160]}"

    return None


def _proved_reader(path: Path) -> FrameReader | None:
    """A reader with quick random access, if it is proved that it reads the same frames in any
    order.
    """
    readers = quick_readers()
    times = proved_times(path) if readers else None
    if times is None:
        return None

    for reader in readers:
        try:
            opened = reader(path)
        except InputError:
            continue

        if opened.has_times(times):
            return opened

    return None
