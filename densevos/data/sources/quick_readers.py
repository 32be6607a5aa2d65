"""Read video files with decoders of fast random access: torchcodec and decord.

Both give the same frames as PyAV, bit for bit. They read only files whose frames provably do not
depend on the order of reading, see `proved_times`.
"""

# Shapes: n frames that are read, H x W pixels of a frame.

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from densevos.base.errors import InputError
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video_file import AvReader
from densevos.data.sources.video_index import (
    decoded,
    open_container,
    unreadable,
    upright,
    video_stream,
)
from densevos.data.sources.video_proof import packet_seconds, summary


class QuickReader(ABC):
    """A FrameReader with fast random access and one decoding thread.

    Frames are rotated as the file says.

    Args:
        path: A video file, or the name of `content` in messages.
        content: The bytes of the file, if it is not a file of its own on disk.

    Raises:
        InputError: The decoder refuses the file, or it holds no frames.
    """

    def __init__(self, path: Path | str, content: bytes | None = None):
        self.path = path
        self._content = content
        self._instead: FrameReader | None = None

        try:
            count = self._open()
        except Exception as error:  # Decoders raise their own and plain RuntimeErrors.
            raise unreadable(path, error) from error

        if count == 0:
            raise InputError(f"{path}: video holds no frames")

        # The same names as of AvReader.
        self.names = [f"{number:05d}" for number in range(count)]

    @abstractmethod
    def _open(self) -> int:
        """Open the file and return its number of frames."""

    @abstractmethod
    def _decode(self, ascending: list[int]) -> np.ndarray:
        """Frames [n,H,W,3] uint8 at ascending positions."""

    @abstractmethod
    def seconds(self) -> np.ndarray:
        """When each frame is shown, [frames] in ascending seconds."""

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        if self._instead is None:
            try:
                return read_ascending(self._decode, indices)
            except Exception as error:
                # Decoders open some files that they cannot read, such as very narrow ones.
                self._instead = self._slow_reader()
                # With another number of frames, positions would mean other frames.
                if len(self._instead) != len(self):
                    raise unreadable(self.path, error) from error

        return self._instead.read(indices)

    def in_order(self) -> Iterator[np.ndarray]:
        """All frames in order, [H,W,3] uint8 each, identical to those of `read`.

        PyAV decodes them, as it is faster in order. Frames that PyAV does not give are read one by
        one.
        """
        import av

        # Decode with PyAV as long as its frames agree with those of `read`.
        seconds, done = self.seconds(), 0
        with (
            suppress(av.FFmpegError, OSError, InputError),
            open_container(self._file()) as container,
        ):
            for frame in decoded(container, video_stream(container, self.path)):
                if done == len(self) or frame.time is None:
                    break
                # PyAV may leave out frames of a damaged file: compare times, in seconds.
                if not np.isclose(frame.time, seconds[done], atol=1e-3):
                    break

                image = upright(frame)
                # For unusual pixel formats colours may differ in the last bit.
                if done == 0 and not np.array_equal(image, self.read([0])[0]):
                    break

                yield image
                done += 1

        # What PyAV did not give, or gave differently.
        for number in range(done, len(self)):
            yield self.read([number])[0]

    def has_times(self, times: tuple[float, ...]) -> bool:
        """Whether the times of its frames have this `summary`."""
        # A millisecond is far less than a frame, and more than decoders round.
        return np.allclose(summary(self.seconds()), times, rtol=1e-6, atol=1e-3)

    def _file(self) -> Path | bytes:
        """The file or the bytes to open."""
        return Path(self.path) if self._content is None else self._content

    def _slow_reader(self) -> FrameReader:
        """A reader for files that this decoder opens but cannot read."""
        if self._content is None:
            return AvReader(Path(self.path))
        return MemoryReader(self.path, self._content)


class DecordReader(QuickReader):
    """A video file read with decord.

    decord decodes an open file in a thread up to its end, even if no more frames are read. So the
    file is closed after each read, unless the read continues where the last one ended.
    """

    def _open(self) -> int:
        video = self._opened()
        self._video: Any = video
        self._next = -1
        self._seconds: np.ndarray = video.get_frame_timestamp(range(len(video)))[:, 0]

        return len(video)

    def _opened(self) -> Any:
        import decord  # Imported here: scoring masks must not load a video decoder.

        decord.logging.set_level(decord.logging.QUIET)
        # FFmpeg takes the part before a colon for a protocol, unless the path is absolute.
        file = os.path.abspath(self.path) if self._content is None else io.BytesIO(self._content)
        return decord.VideoReader(file, num_threads=1, fault_tol=1e-9)

    def _decode(self, ascending: list[int]) -> np.ndarray:
        video = self._video or self._opened()
        self._video = None
        frames: np.ndarray = video.get_batch(ascending).asnumpy()
        # Reading in order: keep the file open for the next frames.
        if ascending[0] == self._next:
            self._video = video

        self._next = ascending[-1] + 1
        return frames

    def seconds(self) -> np.ndarray:
        return self._seconds


class TorchcodecReader(QuickReader):
    """A video file read with torchcodec, which scans the file on opening (exact seek mode)."""

    def _open(self) -> int:
        from torchcodec.decoders import VideoDecoder

        file = os.path.abspath(self.path) if self._content is None else self._content
        self._video = VideoDecoder(
            file, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )

        return len(self._video)

    def _decode(self, ascending: list[int]) -> np.ndarray:
        frames: np.ndarray = self._video.get_frames_at(ascending).data.numpy()
        return frames

    def seconds(self) -> np.ndarray:
        return packet_seconds(self._file())

    def has_times(self, times: tuple[float, ...]) -> bool:
        # torchcodec's scan and the proof read the same packets, so their number suffices.
        return len(self) == times[0]


class MemoryReader:
    """A video file in memory, for files that other decoders cannot read.

    PyAV decodes it from its start at each read.

    Args:
        path: Name of the video in messages.
        content: The bytes of the file.

    Raises:
        InputError: The file cannot be opened.
    """

    def __init__(self, path: Path | str, content: bytes):
        self.path = path
        self._content = content
        try:
            count = len(packet_seconds(content))
        except Exception as error:
            raise unreadable(path, error) from error

        self.names = [f"{number:05d}" for number in range(count)]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return read_ascending(self._decode, indices)

    def _decode(self, ascending: list[int]) -> np.ndarray:
        check_frames(self.path, ascending, len(self))

        import av

        # Decode from the start and stop after the last wanted frame.
        wanted, frames = set(ascending), []
        try:
            with open_container(self._content) as container:
                stream = video_stream(container, self.path)
                for number, frame in enumerate(decoded(container, stream)):
                    if number in wanted:
                        frames.append(upright(frame))
                    if len(frames) == len(wanted):
                        break
        except (av.FFmpegError, OSError) as error:
            raise unreadable(self.path, error) from error

        # A truncated file ends early: then the last wanted frame was not reached.
        if len(frames) < len(wanted):
            raise InputError(
                f"{self.path}: frame {ascending[-1]:05d} cannot be decoded;"
                " re-encode or remove the video"
            )

        return np.stack(frames)

    def seconds(self) -> np.ndarray:
        return packet_seconds(self._content)


def check_frames(path: Path | str, indices: Sequence[int], count: int) -> None:
    """Check positions of frames.

    Args:
        path: The video, for the message.
        indices: Positions.
        count: How many frames the video has.

    Raises:
        IndexError: A position is negative, or not below `count`.
    """
    for index in indices:
        if not 0 <= index < count:
            raise IndexError(f"{path}: there is no frame {index}; the video has {count} frames")


def read_ascending(decode: Callable[[list[int]], np.ndarray], indices: Sequence[int]) -> np.ndarray:
    """Decode each frame once, in ascending order, and return them in the order of `indices`.

    Decoders go back to a key frame when a frame lies before the last one. In random order they
    would decode most frames of a clip several times.

    Args:
        decode: Gives frames [n,H,W,3] at ascending positions.
        indices: Positions in any order, maybe repeated.

    Returns:
        Frames [len(indices),H,W,3].
    """
    # Repeated positions are decoded once; `places` puts the frames back in the wanted order.
    ascending, places = np.unique(np.asarray(indices, dtype=np.int64), return_inverse=True)
    frames = decode(ascending.tolist())

    # Already in order: save the copy.
    if np.array_equal(places, np.arange(len(frames))):
        return frames

    return frames[places]
