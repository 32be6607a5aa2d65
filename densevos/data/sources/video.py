"""One video on disk, whatever its kind."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.sources.frame_folder import FolderReader
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video_file import AvReader, DecordReader


def open_frames(path: Path | str) -> FrameReader:
    """Open a folder of images or a video file; InputError when it is missing, empty or unreadable."""
    path = Path(path)
    if path.is_dir():
        return FolderReader(path)
    if not path.exists():
        raise InputError(f"{path}: no such frame folder or video file")
    try:
        return DecordReader(path)
    except InputError:
        return AvReader(path)
