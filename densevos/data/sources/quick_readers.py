"""Video files through decoders with quick random access: torchcodec and decord.

Both give the same frames as PyAV, bit for bit. They are for files only of which `proved_times` says
that their frames may be read in any order.
"""

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
    """A video file with quick random access, one decoding thread; frames are turned as the file's
    rotation says.

    Args:
        path: A video file, or what messages call the content.
        content: The bytes of the file, where it is not one of its own on disk.

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

        self.names = [f"{number:05d}" for number in range(count)]

    @abstractmethod
    def _open(self) -> int:
        """Open the file and return its number of frames."""

    @abstractmethod
    def _decode(self, ascending: list[int]) -> np.ndarray:
        """Frames [n,H,W,3] uint8 at ascending positions."""

    @abstractmethod
    def seconds(self) -> np.ndarray:
        """When each frame is shown."""

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        if self._instead is None:
            try:
                return read_ascending(self._decode, indices)
            except (
                Exception
            ) as error:  # Decoders open some files that they cannot read, narrow ones among them.
                self._instead = self._slow_reader()
                if len(self._instead) != len(self):
                    raise unreadable(self.path, error) from error

        return self._instead.read(indices)

    def in_order(self) -> Iterator[np.ndarray]:
        """All frames in order, through PyAV, which is quicker at that; those that it cannot give,
        one by one.
        """
        import av

        seconds, done = self.seconds(), 0
        with (
            suppress(av.FFmpegError, OSError, InputError),
            open_container(self._file()) as container,
        ):
            for frame in decoded(container, video_stream(container, self.path)):
                # Of a damaged file it may leave frames out.
                if (
                    done == len(self)
                    or frame.time is None
                    or not np.isclose(frame.time, seconds[done], atol=1e-3)
                ):
                    break

                image = upright(frame)
                if done == 0 and not np.array_equal(image, self.read([0])[0]):
                    break  # Of an unusual pixel format colours may differ in the last bit.

                yield image
                done += 1

        for number in range(done, len(self)):
            yield self.read([number])[0]

    def has_times(self, times: tuple[float, ...]) -> bool:
        """Whether it found the frames whose `summary` of times is given."""
        return np.allclose(summary(self.seconds()), times, rtol=1e-6, atol=1e-3)

    def _file(self) -> Path | bytes:
        """What a decoder is given to open."""
        return Path(self.path) if self._content is None else self._content

    def _slow_reader(self) -> FrameReader:
        """The reader that reads the files that this one opens and cannot read."""
        if self._content is None:
            return AvReader(Path(self.path))
        return MemoryReader(self.path, self._content)


class DecordReader(QuickReader):
    """A video file through decord.

    An open file of decord decodes on in a thread, up to its end, whether anybody reads on or not.
    So it is closed after each read, but for one that goes on where the last one ended.
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
        # FFmpeg takes what stands before a colon for a protocol, unless the path is absolute.
        file = os.path.abspath(self.path) if self._content is None else io.BytesIO(self._content)
        return decord.VideoReader(file, num_threads=1, fault_tol=1e-9)

    def _decode(self, ascending: list[int]) -> np.ndarray:
        video, self._video = self._video or self._opened(), None
        frames = video.get_batch(ascending).asnumpy()
        if ascending[0] == self._next:
            self._video = video

        self._next = ascending[-1] + 1
        return frames

    def seconds(self) -> np.ndarray:
        return self._seconds


class TorchcodecReader(QuickReader):
    """A video file through torchcodec, which scans it on opening (exact seek mode)."""

    def _open(self) -> int:
        from torchcodec.decoders import VideoDecoder

        file = os.path.abspath(self.path) if self._content is None else self._content
        self._video = VideoDecoder(
            file, dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact"
        )

        return len(self._video)

    def _decode(self, ascending: list[int]) -> np.ndarray:
        return self._video.get_frames_at(ascending).data.numpy()

    def seconds(self) -> np.ndarray:
        return packet_seconds(self._file())

    def has_times(self, times: tuple[float, ...]) -> bool:
        return len(self) == times[0]  # Its scan and the proof read the same packets.


class MemoryReader:
    """A video file in memory through PyAV, decoded from its beginning at each read: for what others
    cannot read.
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
        if ascending and not 0 <= ascending[0] <= ascending[-1] < len(self):
            raise IndexError(
                f"{self.path}: frame {ascending[-1]} is asked for, but there are {len(self)}"
            )

        import av

        wanted, frames = set(ascending), []
        try:
            with open_container(self._content) as container:
                for number, frame in enumerate(
                    decoded(container, video_stream(container, self.path))
                ):
                    if number in wanted:
                        frames.append(upright(frame))
                    if len(frames) == len(wanted):
                        break
        except (av.FFmpegError, OSError) as error:
            raise unreadable(self.path, error) from error

        if len(frames) < len(wanted):
            raise InputError(
                f"{self.path}: frame {ascending[-1]:05d} cannot be decoded; re-encode or remove the video"
            )

        return np.stack(frames)

    def seconds(self) -> np.ndarray:
        return packet_seconds(self._content)


def read_ascending(decode: Callable[[list[int]], np.ndarray], indices: Sequence[int]) -> np.ndarray:
    """Frames [len(indices),H,W,3] in the order of `indices`, each decoded once and in ascending
    order.

    Decoders go back to a key frame whenever a frame lies before the last one: in random order most
    frames of a clip are decoded several times.
    """
    ascending, places = np.unique(np.asarray(indices, dtype=np.int64), return_inverse=True)
    frames = decode(ascending.tolist())
    if np.array_equal(places, np.arange(len(frames))):
        return frames

    return frames[places]
