"""The public names for reading frames in scripts; densevos.data.sources defines them."""

from densevos.data.sources.frame_folder import FolderReader
from densevos.data.sources.images import StillReader, read_image
from densevos.data.sources.quick_readers import DecordReader, TorchcodecReader
from densevos.data.sources.source import FrameReader, frame_rate, iterate_frames
from densevos.data.sources.video import open_frames
from densevos.data.sources.video_file import AvReader

__all__ = [
    "AvReader",
    "DecordReader",
    "FolderReader",
    "FrameReader",
    "StillReader",
    "TorchcodecReader",
    "frame_rate",
    "iterate_frames",
    "open_frames",
    "read_image",
]
