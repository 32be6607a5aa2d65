"""What is to be known about a video file before its frames are read out of order.

Frame i of a video is the i-th one that comes out when the file is decoded from its beginning. Containers and
codecs differ in what they say about the way to it: times may be missing or start anywhere, a key frame may be
followed by frames that need earlier ones, and a cut holds packets that are not shown. So nothing is believed:
either the packets prove that every key frame is a fresh start, or the file is decoded once and what came out is
noted. Both are kept for as long as the file stays as it is.
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
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

T = TypeVar("T")

SIMPLE_CONTAINERS = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers in which a seek to the time of a key frame leads to that frame."""
ANY_KEY_FRAME = frozenset({"vp9", "mjpeg"})
"""Codecs in which nothing after a key frame needs anything before it."""
IDR_TYPES = {"h264": frozenset({5}), "hevc": frozenset({19, 20})}
"""Types of the units of a key frame after which nothing refers to earlier frames; other key frames do not say so."""
PROOFS_REMEMBERED = 2**17
INDEXES_REMEMBERED = 2**11
NO_STAMP = int(np.iinfo(np.int64).min)


@dataclass(frozen=True)
class FrameIndex:
    """What decoding a video file once, from its beginning, showed."""

    stamps: np.ndarray
    """The time stamp of each frame, [frames] int64 in units of the container; NO_STAMP where there is none."""
    keys: np.ndarray
    """Which frames are key frames, ascending."""
    checksums: np.ndarray
    """The checksum of each frame, [frames] uint32."""
    seconds: np.ndarray | None
    """When each frame is shown, [frames] in ascending seconds; None if the container does not say."""


def _once_per_file(files: int) -> Callable[[Callable[[Path], T]], Callable[[Path], T]]:
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


@_once_per_file(PROOFS_REMEMBERED)
def proved_times(path: Path) -> tuple[float, ...] | None:
    """The `summary` of times, if the packets prove that decoding may start at any key frame; otherwise None.

    The proof takes no decoding: every packet is shown and has its own time, no frame is shown on the other side of
    a key frame than it is stored, and a key frame refers to nothing before it.
    """
    import av

    try:
        with open_container(path) as container:
            stream = video_stream(container, path)
            if container.format.name not in SIMPLE_CONTAINERS:
                return None
            packets = [packet for packet in container.demux(stream) if packet.size]
            if not all(map(_is_plain, packets)) or not _keys_separate(packets):
                return None
            if stream.codec_context.has_b_frames and not _are_reordered(packets):
                return None
            if not all(_is_fresh_start(packet, stream) for packet in packets if packet.is_keyframe):
                return None
            stamps = sorted(packet.pts for packet in packets if packet.pts is not None)
            return summary(np.array(stamps) * float(stream.time_base or 0))
    except (av.FFmpegError, OSError, InputError):
        return None


def summary(seconds: np.ndarray) -> tuple[float, ...]:
    """Number, first, last and mean of ascending seconds: short enough to be remembered of many files."""
    return len(seconds), float(seconds[0]), float(seconds[-1]), float(seconds.mean(dtype=float))


@_once_per_file(INDEXES_REMEMBERED)
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
        np.array(stamps, np.int64), np.array(keys, np.int64), np.array(checksums, np.uint32), _seconds(times, rate)
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
    """The InputError for a video that a decoder refuses, with the last line of what the decoder said."""
    reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return InputError(f"{path}: video cannot be decoded ({reason.strip()[:120]}); re-encode or remove it")


def open_container(file: Path | bytes) -> "InputContainer":
    """Open a file, or the content of one, with PyAV: whatever its name, and whatever the encoding of its tags."""
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
    """Frames from where the container stands. A recording may start amid frames that cannot be decoded."""
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


def packet_seconds(file: Path | bytes) -> np.ndarray:
    """When each frame of a file is shown whose packets all say so, as `proved_times` makes sure; ascending."""
    with open_container(file) as container:
        stream = container.streams.best("video")
        if stream is None:
            return np.zeros(0)
        stamps = sorted(packet.pts for packet in container.demux(stream) if packet.size and packet.pts is not None)
        return np.array(stamps) * float(stream.time_base or 0)


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
    row = plane.width * min(8, frame.format.padded_bits_per_pixel) // 8  # Padding behind it is not defined.
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return zlib.crc32(lines[: plane.height, :row].tobytes())


def _is_plain(packet: "Packet") -> bool:
    """Whether a packet is complete, shown, and has its times."""
    return not packet.is_corrupt and not packet.is_discard and packet.pts is not None and packet.pts >= 0


def _keys_separate(packets: list["Packet"]) -> bool:
    """Whether each key frame parts what is shown before it from what is shown after it, as stored."""
    stamps = np.array([packet.pts for packet in packets])
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    if not keys or keys[0] != 0 or len(np.unique(stamps)) < len(stamps):
        return False

    latest_before = np.maximum.accumulate(stamps)
    earliest_after = np.minimum.accumulate(stamps[::-1])[::-1]
    separate = all(k == 0 or latest_before[k - 1] < stamps[k] for k in keys)
    first_of_its_part = all(earliest_after[k] == stamps[k] for k in keys)

    # A seek goes by times of decoding, which run ahead: it must not lead to the key frame after the one meant.
    decoding = [packets[k].dts for k in keys]
    no_overshoot = all(after is None or after > stamps[k] for k, after in zip(keys[:-1], decoding[1:], strict=True))
    return bool(separate and first_of_its_part and no_overshoot)


def _are_reordered(packets: list["Packet"]) -> bool:
    """Whether frames are shown in another order than stored; if not, their times may be those of decoding."""
    return any(after.pts < before.pts for before, after in pairwise(packets))  # type: ignore[operator]  # See _is_plain.


def _is_fresh_start(packet: "Packet", stream: "VideoStream") -> bool:
    """Whether nothing after this key frame refers to anything before it."""
    codec = stream.codec_context.name
    if codec not in IDR_TYPES:
        return codec.removeprefix("libvpx-") in ANY_KEY_FRAME
    return bool(IDR_TYPES[codec].intersection(_unit_types(bytes(packet), codec, stream.codec_context.extradata)))


def _unit_types(data: bytes, codec: str, header: bytes | None) -> Iterator[int]:
    """Types of the NAL units of an H.264 or HEVC packet, each of which follows its own length."""
    place = 4 if codec == "h264" else 21
    if header is None or len(header) <= place or header[0] != 1:
        return  # Units are parted by start codes.
    width = (header[place] & 3) + 1
    start = 0
    while start + width < len(data):
        first = data[start + width]
        yield first & 31 if codec == "h264" else first >> 1 & 63
        start += width + int.from_bytes(data[start : start + width], "big")


def _seconds(times: Sequence[float | None], rate: Any) -> np.ndarray | None:
    """Ascending seconds: those of the frames or, where they have none, those of the container's constant rate."""
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return np.array(known)
    return np.arange(len(times)) / float(rate) if rate else None
