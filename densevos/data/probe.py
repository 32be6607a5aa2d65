"""Read the header of a video: number, size and rate of its frames. No frame is decoded."""

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
    """Facts about a video that can be opened."""

    folder: bool
    """Whether it is a folder of frames; otherwise it is a file."""
    frames: int
    """Number of frames."""
    width: int
    """Width as stored, pixels."""
    height: int
    """Height as stored, pixels."""
    rate: float
    """Frames per second; 0 if unknown."""


def probe(path: Path, rate: float) -> Probed:
    """Read the header of a video.

    Args:
        path: A video file, or a folder of frames. The images of a folder are counted, and the first
            one gives the size.
        rate: Frames per second of frames in a folder; 0 if unknown.

    Returns:
        Number, size and rate of the frames.

    Raises:
        InputError: The video is missing, empty, truncated to nothing, or not a video.
    """
    try:
        return _probe_folder(path, rate) if path.is_dir() else _probe_file(path)
    except InputError:
        raise
    except Exception as error:  # Decoders raise exceptions of any type on a damaged file.
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{path}: cannot be read ({type(error).__name__}: {reason}); replace or remove it"
        ) from error


def _probe_folder(path: Path, rate: float) -> Probed:
    files = frame_files(path)
    if not files:
        raise InputError(f"{path}: folder holds no images; fill or remove it")

    # All frames of a video share one size; reading a video checks that.
    (height, width), _ = image_header(files[0])
    return Probed(True, len(files), width, height, rate)


def _probe_file(path: Path) -> Probed:
    if not path.exists():
        raise InputError(f"{path}: no such video file")

    with unreadable_videos_named(path), open_container(path) as container:
        stream = video_stream(container, path)
        # Counting reads the whole file, so the header comes first.
        frames = _frames_by_header(stream, path) or _frames_by_counting(container, stream)
        if not frames:
            raise InputError(f"{path}: video holds no frames; replace or remove it")

        return Probed(False, frames, stream.width, stream.height, float(stream.average_rate or 0))


def _frames_by_header(stream: "VideoStream", path: Path) -> int:
    """Frames that the header lists and a truncated file still holds; 0 if the header lists none."""
    entries = getattr(stream, "index_entries", None)
    # Older versions of PyAV do not say where frames lie.
    if entries is None:
        return 0
    # Some containers list key frames only.
    if not stream.frames or len(entries) < stream.frames:
        return stream.frames

    end = os.path.getsize(path)
    return sum(entries[k].pos + entries[k].size <= end for k in range(stream.frames))


def _frames_by_counting(container: "InputContainer", stream: "VideoStream") -> int:
    """The number of packets that are shown: one packet holds one frame."""
    return sum(1 for packet in container.demux(stream) if packet.size and not packet.is_discard)
