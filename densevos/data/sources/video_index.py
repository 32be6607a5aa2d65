"""The frame index of a video file: the facts needed before frames are read out of order.

Frame i of a video is the i-th frame that comes out when the file is decoded from its start.
Containers and codecs cannot be trusted to lead there: times may be missing or start anywhere, a key
frame may be followed by frames that need earlier ones, and an edited file may hold packets that are
not shown. Therefore either the packets prove that decoding can start at every key frame (see
`video_proof`), or the file is decoded once and its frames are recorded. Both results are remembered
until the file changes.
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
"""Number of files whose index is kept in memory."""
NO_STAMP = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class FrameIndex:
    """The frames of a video file, recorded by decoding it once from its start."""

    stamps: np.ndarray
    """Time stamp of each frame, [frames] int64, in the container's units; NO_STAMP if missing."""
    keys: np.ndarray
    """Numbers of the key frames, [keys] int64, ascending."""
    checksums: np.ndarray
    """Checksum of each frame, [frames] uint32."""
    seconds: np.ndarray | None
    """When each frame is shown, [frames] in ascending seconds; None if unknown."""


def once_per_file(files: int) -> Callable[[Callable[[Path], T]], Callable[[Path], T]]:
    """Decorate a function of a file so that its results are remembered until the file changes.

    Args:
        files: Number of files whose results are kept, the last ones used.
    """

    def of_function(function: Callable[[Path], T]) -> Callable[[Path], T]:
        @lru_cache(maxsize=files)
        def remembered(path: Path, *state: int) -> T:
            return function(path)

        @wraps(function)
        def of_file(path: Path) -> T:
            # A changed file has another time or size, so its old result is not found.
            state = path.stat()
            return remembered(path, state.st_dev, state.st_ino, state.st_mtime_ns, state.st_size)

        return of_file

    return of_function


@once_per_file(INDEXES_REMEMBERED)
def frame_index(path: Path) -> FrameIndex:
    """Decode a video file once and record its frames.

    Args:
        path: The video file.

    Returns:
        The index; it is remembered until the file changes.

    Raises:
        InputError: The file cannot be decoded, holds no frames, or its frames change size.
    """
    stamps, keys, checksums, times = [], [], [], []
    size = None
    with unreadable_videos_named(path), open_container(path) as container:
        stream = video_stream(container, path)
        rate = stream.average_rate
        for number, frame in enumerate(decoded(container, stream)):
            # Frames of a video are stacked, so all must have the size of the first.
            size = size or (frame.width, frame.height)
            if (frame.width, frame.height) != size:
                raise InputError(
                    f"{path}: frames change from {size[0]}x{size[1]} to"
                    f" {frame.width}x{frame.height} at frame {number:05d};"
                    " frames of one video must share one size: cut it there or scale it"
                )

            if frame.key_frame:
                keys.append(number)

            # A checksum, as keeping the frames themselves would need gigabytes.
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
    """Turn errors of FFmpeg into an InputError that names the file."""

    def __init__(self, path: Path):
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        import av

        if isinstance(error, av.FFmpegError | OSError):
            raise unreadable(self.path, error) from error


def unreadable(path: Path | str, error: BaseException) -> InputError:
    """The InputError for a video that a decoder refuses, with the last line of its error."""
    # The reason is in the last line of a long message.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = lines[-1] if lines else type(error).__name__
    return InputError(f"{path}: video cannot be decoded ({reason[:120]}); re-encode or remove it")


def open_container(file: Path | bytes) -> "InputContainer":
    """Open a file, or the bytes of one, with PyAV; its name and tags may have any encoding."""
    import av

    # FFmpeg takes the part before a colon for a protocol, unless the path is absolute.
    opened = io.BytesIO(file) if isinstance(file, bytes) else os.path.abspath(file)

    return av.open(opened, mode="r", metadata_errors="replace")


def video_stream(container: "InputContainer", path: Path | str) -> "VideoStream":
    """The video stream that players show, set to decode in one thread.

    Raises:
        InputError: The file holds no video that FFmpeg can decode.
    """
    from av.video.stream import VideoStream

    # A file may hold further video streams, such as a cover picture.
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise InputError(f"{path}: holds no video that FFmpeg can decode; re-encode or remove it")

    stream.codec_context.thread_count = 1  # One reading process uses one core, and may fork.
    return stream


def decoded(container: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    """Decode frames from the container's current position.

    A recording may start with packets that cannot be decoded, as they need earlier ones. Errors are
    ignored until the first frame comes out.

    Args:
        container: The open file.
        stream: Its video stream.

    Yields:
        Frames in the order in which they are shown.

    Raises:
        av.FFmpegError: A packet after the first frame cannot be decoded, or no packet can.
    """
    import av

    any_frame = False
    first_error: av.FFmpegError | None = None
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            if any_frame:
                raise
            first_error = first_error or error
            continue

        # Decoders hold frames back, so a packet may give none or several.
        any_frame = any_frame or bool(frames)
        yield from frames

    if first_error is not None and not any_frame:
        raise first_error


def upright(frame: "VideoFrame") -> np.ndarray:
    """A frame as [H,W,3] uint8 RGB, rotated as its file says."""
    return np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)


def stamp(frame: "VideoFrame") -> int:
    """The time stamp of a frame; if it has none, as in AVI, that of its decoding, or NO_STAMP."""
    if frame.pts is not None:
        return frame.pts
    if frame.dts is not None:
        return frame.dts
    return NO_STAMP


def checksum(frame: "VideoFrame") -> int:
    """A checksum of the first plane (brightness, or packed colours) of a frame."""
    plane = frame.planes[0]
    # Each line ends with padding, whose bytes are undefined.
    row = plane.width * min(8, frame.format.padded_bits_per_pixel) // 8
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)

    return zlib.crc32(lines[: plane.height, :row].tobytes())


def _seconds(times: Sequence[float | None], rate: Any) -> np.ndarray | None:
    """Ascending seconds by the times of the frames, else by the container's constant rate."""
    given = [time for time in times if time is not None]
    # Times that are missing or do not ascend are useless.
    if len(given) == len(times) and all(before < after for before, after in pairwise(given)):
        return np.array(given)

    # Frames without times: the rate of the container gives evenly spaced ones.
    if rate:
        return np.arange(len(times)) / float(rate)
    return None
