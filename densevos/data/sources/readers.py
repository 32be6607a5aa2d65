"""One small reader for frame folders and video files.

A reader knows its length and the names of its frames, and reads any of them as RGB arrays. It is opened
for one item and closed with it: no reader outlives the clip it was opened for.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError

from densevos.base.errors import InputError

if TYPE_CHECKING:
    from av import VideoFrame

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm", ".tif", ".tiff"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".flv", ".wmv"})


class FrameReader(Protocol):
    """Frames of one video; `names[i]` is the file stem that belongs to frame i."""

    path: Path
    names: list[str]

    def __len__(self) -> int: ...

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames [len(indices),H,W,3] uint8 RGB; InputError names the file that cannot be read."""
        ...

    def seconds(self) -> np.ndarray | None:
        """When each frame is shown, [frames] in ascending seconds; None where frames have no times, as in a folder."""
        ...


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


def iterate_frames(reader: FrameReader) -> Iterator[np.ndarray]:
    """All frames in order, one [H,W,3] uint8 array at a time."""
    for index in range(len(reader)):
        yield reader.read([index])[0]


def frame_rate(reader: FrameReader) -> float | None:
    """Frames a second, on average; None where frames have no times, and for a single frame."""
    times = reader.seconds()
    return None if times is None or times[-1] <= times[0] else (len(times) - 1) / float(times[-1] - times[0])


def image_files(folder: Path) -> list[Path]:
    """The image files directly inside `folder`, sorted by name."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith("."))


def read_image(path: Path) -> np.ndarray:
    """Read one image as [H,W,3] uint8 RGB; InputError when it is missing, truncated or no image."""
    try:
        with Image.open(path) as image:
            if image.mode.startswith("I"):  # 16-bit grey, which Pillow would clip to white
                return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise InputError(f"{path}: image is missing") from None
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise InputError(f"{path}: image cannot be read ({error}); replace or remove it") from error


class FolderReader:
    """Images of one folder in the order of their names."""

    def __init__(self, path: Path):
        self.path = path
        self._files = image_files(path)
        if not self._files:
            raise InputError(f"{path}: folder holds no images ({', '.join(sorted(IMAGE_SUFFIXES))})")
        self.names = [file.stem for file in self._files]

    def __len__(self) -> int:
        return len(self._files)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        frames = [read_image(self._files[i]) for i in indices]
        for index, frame in zip(indices, frames, strict=True):
            if frame.shape != frames[0].shape:
                raise InputError(
                    f"{self._files[index]}: is {_size(frame)} but {self._files[indices[0]].name} is {_size(frames[0])};"
                    " frames of one video must share one size"
                )
        return np.stack(frames)

    def seconds(self) -> None:
        return None


class DecordReader:
    """A video file through decord: quick random access, one decoding thread; turned as its rotation says."""

    def __init__(self, path: Path):
        import decord  # Imported here: scoring masks must not load a video decoder.

        decord.logging.set_level(decord.logging.QUIET)
        self.path = path
        try:
            self._video = decord.VideoReader(str(path), num_threads=1)
            count = len(self._video)
        except Exception as error:  # decord raises its own and plain RuntimeErrors
            raise _unreadable(path, error) from error
        if count == 0:
            raise InputError(f"{path}: video holds no frames")
        self.names = [f"{i:05d}" for i in range(count)]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        try:
            return self._video.get_batch(list(indices)).asnumpy()
        except Exception as error:
            raise _unreadable(self.path, error) from error

    def seconds(self) -> np.ndarray:
        return self._video.get_frame_timestamp(range(len(self)))[:, 0]


class AvReader:
    """A video file through PyAV, for what decord cannot open; quick in forward order, rewinds otherwise."""

    _position: int

    def __init__(self, path: Path):
        self.path = path
        self._times = [frame.time for frame in self._decode()]
        if not self._times:
            raise InputError(f"{path}: video holds no frames")
        self.names = [f"{i:05d}" for i in range(len(self._times))]
        self._rewind()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return np.stack([self._frame(i) for i in indices])

    def seconds(self) -> np.ndarray | None:
        return None if None in self._times else np.array(self._times)

    def _frame(self, index: int) -> np.ndarray:
        if index < self._position:
            self._rewind()
        while self._position < index:
            self._position += 1
            self._current = next(self._stream)
        return np.rot90(self._current.to_ndarray(format="rgb24"), self._current.rotation // 90)

    def _rewind(self) -> None:
        self._stream = self._decode()
        self._current = next(self._stream)
        self._position = 0

    def _decode(self) -> Iterator["VideoFrame"]:
        import av

        try:
            with av.open(str(self.path)) as container:
                yield from container.decode(video=0)
        except (av.FFmpegError, IndexError) as error:
            raise _unreadable(self.path, error) from error


class Excerpt:
    """The frames `start` to `stop` - 1 of another reader, under their names there."""

    def __init__(self, whole: FrameReader, start: int, stop: int):
        self.path = whole.path
        self.names = whole.names[start:stop]
        self._whole = whole
        self._start = start

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        return self._whole.read([self._start + i for i in indices])

    def seconds(self) -> np.ndarray | None:
        times = self._whole.seconds()
        return None if times is None else times[self._start : self._start + len(self)]


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return InputError(f"{path}: video cannot be decoded ({reason.strip()[:120]}); re-encode or remove it")


def _size(frame: np.ndarray) -> str:
    return f"{frame.shape[1]}x{frame.shape[0]}"
