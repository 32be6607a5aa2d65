"""One video on disk, whatever its kind."""

from pathlib import Path

import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.frame_folder import FolderReader
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video_file import AvReader, DecordReader
from densevos.data.sources.video_index import proved_times, summary


def open_frames(path: Path | str) -> FrameReader:
    """Open a folder of images or a video file; InputError when it is missing, empty or unreadable."""
    path = Path(path)
    if path.is_dir():
        return FolderReader(path)
    if not path.exists():
        raise InputError(f"{path}: no such frame folder or video file")
    return _quick_reader(path) or AvReader(path)


def _quick_reader(path: Path) -> FrameReader | None:
    """The file through decord, if it is proved that it reads the same frames in any order; otherwise None."""
    times = proved_times(path)
    if times is None:
        return None
    try:
        reader = DecordReader(path)
    except InputError:
        return None
    return reader if np.allclose(summary(reader.seconds()), times, rtol=1e-6, atol=1e-3) else None
