"""What the head of a video says: how many frames, how large, how fast. Nothing is decoded."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from densevos.base.errors import InputError
from densevos.base.images import image_header
from densevos.base.names import frame_files
from densevos.data.sources.video_index import open_container, unreadable_videos_named, video_stream

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import InputContainer


@dataclass(frozen=True)
class Probed:
    """What is known of a video that can be opened."""

    folder: bool
    """Whether it is a folder of frames; otherwise a file."""
    frames: int
    width: int
    height: int
    rate: float
    """Frames per second; 0 where it is not known."""


def probe(path: Path, rate: float) -> Probed:
    """Look at the head of a video.

    Args:
        path: A folder of frames, whose images are counted and of which the first is looked at; or a
            video file.
        rate: Frames per second of frames in a folder; 0 where it is not known.

    Raises:
        InputError: It is missing, empty, truncated to nothing, or no video. The message names it.
    """
    try:
        return _probe_folder(path, rate) if path.is_dir() else _probe_file(path)
    except InputError:
        raise
    except Exception as error:  # A damaged file makes libraries raise whatever they stumble over.
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: cannot be read ({type(error).__name__}: {reason}); replace or remove it"
        ) from error


def _probe_folder(path: Path, rate: float) -> Probed:
    files = frame_files(path)
    if not files:
        raise InputError(f"{path}: folder holds no images; fill or remove it")

    (height, width), _ = image_header(files[0])
    return Probed(True, len(files), width, height, rate)


def _probe_file(path: Path) -> Probed:
    if not path.exists():
        raise InputError(f"{path}: no such video file")

    with unreadable_videos_named(path), open_container(path) as container:
        stream = video_stream(container, path)
        frames = _frames_by_the_head(stream, path) or _frames_by_counting(container, stream)
        if not frames:
            raise InputError(f"{path}: video holds no frames; replace or remove it")

        return Probed(False, frames, stream.width, stream.height, float(stream.average_rate or 0))


def _frames_by_the_head(stream: "VideoStream", path: Path) -> int:
    """The frames that the head of the file promises, without those behind the end of a truncated
    file; 0: not told.
    """
    entries = getattr(stream, "index_entries", None)
    if entries is None:  # Older versions of PyAV do not know where frames lie.
        return 0
    if not stream.frames or len(entries) < stream.frames:  # Some containers list key frames alone.
        return stream.frames

    end = os.path.getsize(path)
    return sum(entries[k].pos + entries[k].size <= end for k in range(stream.frames))


def _frames_by_counting(container: "InputContainer", stream: "VideoStream") -> int:
    return sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)
