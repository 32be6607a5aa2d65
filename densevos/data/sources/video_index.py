"""What is to be known about a video file before its frames are read out of order.

Frame i of a video is the i-th one that comes out when the file is decoded from its beginning.
Containers and codecs differ in what they say about the way to it: times may be missing or start
anywhere, a key frame may be followed by frames that need earlier ones, and a cut holds packets that
are not shown. So nothing is believed: either the packets prove that every key frame is a fresh
start, or the file is decoded once and what came out is noted. Both are kept for as long as the file
stays as it is. The proof is in `video_proof`.
"""

import io
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from densevos.base.errors import InputError

if TYPE_CHECKING:
    from av import VideoFrame, VideoStream
    from av.container import InputContainer

T = TypeVar("T")

INDEXES_REMEMBERED = 2**11
NO_STAMP = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class FrameIndex:
    """What decoding a video file once, from its beginning, showed."""

    stamps: np.ndarray
    """The time stamp of each frame, [frames] int64 in units of the container; NO_STAMP where there
    is none.
    """
    keys: np.ndarray
    """Which frames are key frames, ascending."""
    checksums: np.ndarray
    """The checksum of each frame, [frames] uint32."""
    seconds: np.ndarray | None
    """When each frame is shown, [frames] in ascending seconds; None if the container does not
    say.
    """


def once_per_file(files: int) -> Callable[[Callable[[Path], T]], Callable[[Path], T]]:
    """Remember what a function says of so many files, of each until it changes."""

    def of_function(function: Callable[[Path], T]) -> Callable[[Path], T]:
        @lru_cache(maxsize=files)
        def remembered(path: Path, *state: int) -> T:
            return function(path)

        @wraps(function)
        def of_file(path: Path) -> T:
            state = path.stat()
            return remembered(path, state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)

        return of_file

    return of_function


@once_per_file(INDEXES_REMEMBERED)
def frame_index(path: Path) -> FrameIndex:
    """Decode a video file once and note its frames.

    Raises:
        InputError: The file cannot be decoded, holds no frames, or its frames change size.
    """
    stamps, keys, checksums, times = [], [], [], []
    size = None
    with unreadable_videos_named(path), open_container(path) as container:
        stream = video_stream(container, path)
        rate = stream.average_rate
        for number, frame in enumerate(decoded(container, stream)):
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                raise InputError(
                    f"{path}: frames change from {size[0]}x{size[1]} to {frame.width}x{frame.height} at frame "
                    f"{number:05d}; frames of one video must share one size: cut it there or scale it"
                )

            if frame.key_frame:
                keys.append(number)

            stamps.append(stamp(frame))
            times.append(frame.time)
            checksums.append(checksum(frame))

    if not stamps:
        raise InputError(f"{path}: video holds no frames")

    return FrameIndex(
        np.array(stamps, np.int64),
        np.array(keys, np.int64),
        np.array(checksums, np.uint32),
        _seconds(times, rate),
    )


class unreadable_videos_named:  # noqa: N801  A context manager that reads like a function.
    """Turn what FFmpeg raises into an InputError that names the file."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import av

        if isinstance(error, av.FFmpegError | OSError):
            raise unreadable(self.path, error) from error


def unreadable(path: Path | str, error: BaseException) -> InputError:
    """The InputError for a video that a decoder refuses, with the last line of what the decoder
    said.
    """
    reason = next(
        (line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__
    )
    return InputError(
        f"{path}: video cannot be decoded ({reason.strip()[:120]}); re-encode or remove it"
    )


def open_container(file: Path | bytes) -> "InputContainer":
    """Open a file, or the content of one, with PyAV: whatever its name, and whatever the encoding
    of its tags.
    """
    import av

    # FFmpeg takes what stands before a colon for a protocol, unless the path is absolute.
    opened = io.BytesIO(file) if isinstance(file, bytes) else os.path.abspath(file)

    return av.open(opened, mode="r", metadata_errors="replace")


def video_stream(container: "InputContainer", path: Path | str) -> "VideoStream":
    """The stream that players show, to be decoded in one thread."""
    from av.video.stream import VideoStream

    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise InputError(f"{path}: holds no video that FFmpeg can decode; re-encode or remove it")

    stream.codec_context.thread_count = 1  # One reading process uses one core, and may fork.
    return stream


def decoded(container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    """Frames from where the container stands. A recording may start amid frames that cannot be
    decoded.
    """
    import av

    begun = False
    reason: av.FFmpegError | None = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            if begun:
                raise
            reason = reason or error
            continue

        begun = begun or bool(frames)
        yield from frames

    if reason is not None and not begun:
        raise reason


def upright(frame: "VideoFrame") -> np.ndarray:
    """A frame as [H,W,3] uint8 RGB, turned as the rotation of its file says."""
    return np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)


def stamp(frame: "VideoFrame") -> int:
    """The time stamp of a frame; where there is only that of decoding, as in AVI, that one."""
    known = [time for time in (frame.pts, frame.dts) if time is not None]
    return known[0] if known else NO_STAMP


def checksum(frame: "VideoFrame") -> int:
    """A checksum of the first plane (brightness, or packed colours) of a frame."""
    plane = frame.planes[0]
    row = (
        plane.width * min(8, frame.format.padded_bits_per_pixel) // 8
    )  # Padding behind it is not defined.
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)

    return zlib.crc32(lines[: plane.height, :row].tobytes())


def _seconds(times: Sequence[float | None], rate: Any) -> np.ndarray | None:
    """Ascending seconds: those of the frames or, where they have none, those of the container's
    constant rate.
    """
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return np.array(known)

    return np.arange(len(times)) / float(rate) if rate else None
