"""Open one video of any kind with the decoder that suits it."""

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
"""The environment variable that names a decoder; it is read whenever a video is opened."""
DECODERS = {"torchcodec": "torchcodec.decoders", "decord": "decord", "pyav": "av"}
"""The decoders that the variable may name, with the module of each."""
QUICK: dict[str, type[QuickReader]] = {"torchcodec": TorchcodecReader, "decord": DecordReader}
"""Decoders with fast random access, the preferred one first."""


def open_frames(path: Path | str) -> FrameReader:
    """Open a folder of images or a video file.

    Raises:
        InputError: It is missing, empty or unreadable.
    """
    path = Path(path)
    if path.is_dir():
        return FolderReader(path)
    if not path.exists():
        raise InputError(f"{path}: no such frame folder or video file")

    return _proved_reader(path) or AvReader(path)


def open_content(title: str, content: bytes) -> FrameReader:
    """Open a video file in memory whose frames may be read in any order.

    Args:
        title: Name of the video in messages.
        content: The bytes of the file.

    Raises:
        InputError: The file is unreadable.
    """
    # A decoder may refuse a file that another one opens.
    for reader in quick_readers():
        try:
            return reader(title, content)
        except InputError:
            continue

    return MemoryReader(title, content)


def quick_readers() -> list[type[QuickReader]]:
    """The readers to try, in this order, for files whose frames may be read in any order.

    By default these are torchcodec and decord, as far as they are installed. torchcodec loads
    torch, which takes seconds and hundreds of megabytes, so processes without torch do not use it.
    DENSEVOS_READER=torchcodec, decord or pyav selects one decoder.

    Returns:
        The readers; an empty list if PyAV reads such files.

    Raises:
        InputError: DENSEVOS_READER names an unknown decoder, or one that cannot be loaded.
    """
    decoder = os.environ.get(READER, "auto")

    # A missing decoder is an error only if the user names it.
    if decoder == "auto":
        readers = []
        for name, reader in QUICK.items():
            would_load_torch = name == "torchcodec" and "torch" not in sys.modules
            if not would_load_torch and loading_problem(name) is None:
                readers.append(reader)

        return readers

    if decoder not in DECODERS:
        raise InputError(f"{READER}={decoder}: is no decoder; give auto, {', '.join(DECODERS)}")
    if problem := loading_problem(decoder):
        raise InputError(
            f"{READER}={decoder}: does not load ({problem}); install it or unset {READER}"
        )

    return [QUICK[decoder]] if decoder in QUICK else []


@lru_cache
def loading_problem(name: str) -> str | None:
    """Why a decoder cannot be loaded, in one line; None if it can be.

    Args:
        name: "torchcodec", "decord" or "pyav".
    """
    try:
        import_module(DECODERS[name])
    except ModuleNotFoundError as error:
        return str(error)
    except Exception as error:
        # torchcodec raises a RuntimeError of many lines if FFmpeg's libraries are missing.
        line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
        return f"{type(error).__name__}: {line[:160]}"

    return None


def _proved_reader(path: Path) -> FrameReader | None:
    """A reader with fast random access; None if its frames may depend on the order of reading."""
    # The proof reads all packets: skip it if no such reader is installed.
    readers = quick_readers()
    times = proved_times(path) if readers else None
    if times is None:
        return None

    for reader in readers:
        try:
            opened = reader(path)
        except InputError:
            continue

        # Another number of frames, or other times: the decoder does not see the same frames.
        if opened.has_times(times):
            return opened

    return None
