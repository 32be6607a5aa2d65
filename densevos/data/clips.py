"""Clips: T frames of one video, cropped alike; every random choice follows from (seed, epoch,
video).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densevos.base.errors import InputError, RunError
from densevos.config import ClipConfig
from densevos.data.sources.source import FrameReader, VideoSource

STAND_IN = 1  # Tells the draws of stand-ins from those of clips.


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one step."""

    frames: Tensor
    """[B,T,3,H,W] uint8 RGB, frame 0 of each clip is its reference frame."""
    names: tuple[str, ...]
    """Where each clip is from."""
    skipped: tuple[str, ...] = ()
    """What could not be used and why: one line a video."""


@dataclass(frozen=True)
class Clip:
    """One clip: frames [T,3,H,W] uint8 RGB, its video's name, and the videos passed over before
    it.
    """

    frames: Tensor
    name: str
    skipped: tuple[str, ...]


class VideoDataset(ABC):
    """`dataset[epoch, index]` is the sample of video `index` in that epoch, whoever asks and in
    whatever order.

    A video that cannot be used is passed over in favour of a random other one, a stand-in, and
    noted in the sample; InputError only when no video is left.
    """

    on_read: Callable[[str], object] = staticmethod(lambda title: None)
    """Called with the title of each video before it is read: a process that dies or hangs is then
    known by it.
    """

    def __init__(self, videos: int, seed: int):
        self.videos, self.seed = videos, seed
        self.left_out: dict[str, str] = {}
        """Videos that must not be read again, as they end or hold up whoever reads them: title, and
        why in a line.
        """

    def __len__(self) -> int:
        return self.videos

    def __getitem__(self, key: tuple[int, int]) -> Any:
        return self.read(*key)

    def batch(self, keys: Sequence[tuple[int, int]], beside: Sequence[int] = ()) -> Any:
        """A batch of the samples (epoch, index); `beside` are other videos of the same step.

        Stand-ins are none of these, as far as there are others: a step does not see a video twice.
        """
        taken = {index for _, index in keys}.union(beside)
        return self.collate([self.read(epoch, index, taken) for epoch, index in keys])

    def read(self, epoch: int, first: int, taken: AbstractSet[int] = frozenset()) -> Any:
        """The sample of video `first`, or of a stand-in that is not `taken`."""
        skipped: list[str] = []
        for index in self._candidates(epoch, first, taken):
            rng = np.random.default_rng((self.seed, epoch, first))
            try:
                with self.reading(self.title(index)):
                    return self.sample(index, rng, tuple(skipped))
            except LeftOut as error:
                skipped += [str(error)] * bool(str(error))

        raise InputError(
            f"none of the {len(self)} videos can be used; the first: {skipped[0] if skipped else 'gone'}"
        )

    @contextmanager
    def reading(self, title: str) -> Iterator[None]:
        """Around the reading of one video; LeftOut, which says why, when it is of no use."""
        if title in self.left_out:
            raise LeftOut(self.left_out[title])

        self.on_read(title)
        try:
            yield
        except (RunError, LeftOut):
            raise
        except Exception as error:  # A damaged file makes readers raise whatever they stumble over.
            raise LeftOut(why_left_out(title, error)) from error

    def _candidates(self, epoch: int, first: int, taken: AbstractSet[int]) -> Iterator[int]:
        """The video that is meant, then all others at random, those that are taken last."""
        yield first
        others = (
            np.random.default_rng((self.seed, epoch, first, STAND_IN))
            .permutation(len(self))
            .tolist()
        )
        yield from (index for index in others if index not in taken and index != first)
        yield from (index for index in others if index in taken and index != first)

    def title(self, index: int) -> str:
        """Where a video is, as messages name it."""
        return f"video {index}"

    @abstractmethod
    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> Any:
        """One sample of a video, noting what was `skipped`; InputError when the video cannot be
        used.
        """

    @abstractmethod
    def collate(self, samples: Sequence[Any]) -> Any:
        """Stack samples to a batch, which has `names` and `skipped`."""


class Remaining(VideoDataset):
    """A data set from which videos were taken, with all videos that it once had, so that draws stay
    as they were.

    Those that were taken cannot be used; others stand in for them.
    """

    def __init__(self, videos: VideoDataset, titles: Sequence[str], places: Sequence[int | None]):
        """titles: of all videos that there were; places: where each is among `videos` now, None if
        it was taken.
        """
        super().__init__(len(titles), videos.seed)
        self.now, self.titles, self.places = videos, titles, places

    def title(self, index: int) -> str:
        return self.titles[index]

    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> Any:
        place = self.places[index]
        if place is None:
            raise LeftOut
        return self.now.sample(place, rng, skipped)

    def collate(self, samples: Sequence[Any]) -> Any:
        return self.now.collate(samples)


class LeftOut(Exception):  # noqa: N818  It says what became of a video, and is no fault of the run.
    """A video is of no use; the message says why in one line, or nothing where that was told
    before.
    """


def why_left_out(title: str, error: Exception) -> str:
    """One line that names a video and says why it cannot be used."""
    if isinstance(error, InputError):
        return str(error)

    reason = next(iter(str(error).splitlines()), "")
    return f"{title}: cannot be read ({type(error).__name__}{reason and ': '}{reason}); re-encode or remove it"


class ClipDataset(VideoDataset):
    """One clip a video."""

    def __init__(self, source: VideoSource, config: ClipConfig, seed: int):
        super().__init__(len(source), seed)
        self.source, self.config = source, config

    def title(self, index: int) -> str:
        return self.source.title(index)

    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> Clip:
        frames = read_clip(self.source.open(index), self.config, rng)
        return Clip(frames, self.source.title(index), skipped)

    def collate(self, samples: Sequence[Clip]) -> ClipBatch:
        return ClipBatch(
            frames=torch.stack([clip.frames for clip in samples]),
            names=tuple(clip.name for clip in samples),
            skipped=tuple(reason for clip in samples for reason in clip.skipped),
        )


@dataclass(frozen=True)
class Share:
    """What one process reads of a batch: its samples (epoch, index), and the videos that the others
    read.
    """

    keys: list[tuple[int, int]]
    beside: tuple[int, ...] = ()


class ClipSampler:
    """The shares of one process in all batches from step `start` on: each epoch a new order of all
    videos.

    The order is that of the whole batch, whoever reads which part of it. A step takes `accumulate`
    batches of `ranks` times `batch` videos. A remainder smaller than a step is left out of its
    epoch.
    """

    def __init__(
        self,
        videos: int,
        batch: int,
        epochs: int,
        seed: int,
        start: int = 0,
        rank: int = 0,
        ranks: int = 1,
        accumulate: int = 1,
    ):
        self.videos, self.batch, self.epochs, self.seed = videos, batch, epochs, seed
        self.start, self.rank, self.ranks, self.accumulate = start, rank, ranks, accumulate
        self.steps_per_epoch = videos // self.videos_per_step

    @property
    def videos_per_step(self) -> int:
        """Videos that all processes together see in a step."""
        return self.batch * self.ranks * self.accumulate

    def __len__(self) -> int:
        return (self.epochs * self.steps_per_epoch - self.start) * self.accumulate

    def __iter__(self) -> Iterator[Share]:
        whole = self.batch * self.ranks
        own = slice(self.rank * self.batch, (self.rank + 1) * self.batch)
        for epoch in range(self.start // self.steps_per_epoch, self.epochs):
            order = np.random.default_rng((self.seed, epoch)).permutation(self.videos)
            first = max(self.start - epoch * self.steps_per_epoch, 0)
            for number in range(first * self.accumulate, self.steps_per_epoch * self.accumulate):
                videos = order[number * whole :][:whole].tolist()
                beside = (*videos[: own.start], *videos[own.stop :])
                yield Share([(epoch, index) for index in videos[own]], beside)


def read_clip(reader: FrameReader, config: ClipConfig, rng: np.random.Generator) -> Tensor:
    """One clip [T,3,size,size] uint8.

    Raises:
        InputError: The video is unreadable, empty, or shorter than T frames where these may not
            repeat.
    """
    fewest = config.frames if config.spacing == "whole" else 1
    if len(reader) < fewest:
        raise InputError(
            f"{reader.path}: has {len(reader)} frames, fewer than the {config.frames} of a clip; left out"
        )

    frames = reader.read(frame_indices(len(reader), config, rng))
    left, top, side = crop_box(frames.shape[2], frames.shape[1], config, rng)
    mirror = config.flip and rng.random() < 0.5
    images = [
        _crop(frame, (left, top, left + side, top + side), config.size, mirror) for frame in frames
    ]

    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def frame_indices(length: int, config: ClipConfig, rng: np.random.Generator) -> list[int]:
    """Positions of T frames of a video of `length` frames; the first is the clip's reference frame.

    The clip starts anywhere the last frame allows. `config.spacing` says what happens in a video of
    fewer than T * gap frames, and `config.order` which frame comes first.
    """
    count = config.frames
    window = min(length, count * config.gap)
    if config.spacing == "whole":
        gap = window // count
        offsets = [gap * i for i in range(count)]
        last_start = length - 1 - offsets[-1]
    else:
        offsets = [i * window // count for i in range(count)]
        last_start = (
            length - window
        )  # As the release does for Kinetics, which leaves out the last gap - 1 starts.

    start = int(rng.integers(last_start + 1))
    order = rng.permutation(count) if config.order == "shuffled" else range(count)
    return [start + offsets[i] for i in order]


def crop_box(
    width: int, height: int, config: ClipConfig, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Left, top and side, in source pixels, of the square that becomes size x size once the short
    side is scaled.
    """
    low, high = config.short_side
    side = config.size * min(width, height) / rng.uniform(low, high)
    if config.crop == "centre":
        return (width - side) / 2, (height - side) / 2, side

    return rng.uniform(0, width - side), rng.uniform(0, height - side), side


def _crop(
    frame: np.ndarray, box: tuple[float, float, float, float], size: int, mirror: bool
) -> np.ndarray:
    # Pillow's bilinear filter widens when it shrinks, so nothing aliases.
    image = Image.fromarray(frame).resize((size, size), Image.Resampling.BILINEAR, box=box)
    pixels = np.asarray(image)
    return pixels[:, ::-1] if mirror else pixels
