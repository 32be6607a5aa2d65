"""Clips: T frames of one video with the same crop, all random choices fixed by a seed.

Every choice follows from (seed, epoch, video), so a sample does not depend on the process that
reads it or on the order of reading.
"""

# Shapes: B clips of a step, T frames of a clip, H x W pixels of a frame (size x size when cropped).

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

STAND_IN = 1  # Part of a seed: it separates the draws of stand-ins from those of clips.


@dataclass(frozen=True)
class ClipBatch:
    """Clips of one step."""

    frames: Tensor
    """[B,T,3,H,W] uint8 RGB; frame 0 of each clip is its reference frame."""
    names: tuple[str, ...]
    """Path or title of the video of each clip."""
    skipped: tuple[str, ...] = ()
    """Videos that could not be used, with the reason: one line per video."""


@dataclass(frozen=True)
class Clip:
    """One clip of one video."""

    frames: Tensor
    """[T,3,H,W] uint8 RGB."""
    name: str
    """Path or title of the video."""
    skipped: tuple[str, ...]
    """Videos that were tried before this one and could not be used: one line per video."""


class VideoDataset(ABC):
    """A map from (epoch, index) to the sample of video `index` in that epoch.

    The sample is the same for every process and every order of reading. A video that cannot be used
    is replaced by a random other one, a stand-in, and the sample records it.

    Args:
        videos: Number of videos.
        seed: Seed of all random choices.
    """

    on_read: Callable[[str], object] = staticmethod(lambda title: None)
    """Called with the title of a video before it is read.

    So the video is known when it kills or blocks the reading process.
    """

    def __init__(self, videos: int, seed: int):
        self.videos, self.seed = videos, seed
        self.left_out: dict[str, str] = {}
        """Title and reason of each video that kills or blocks processes; it is not read again."""

    def __len__(self) -> int:
        return self.videos

    def __getitem__(self, key: tuple[int, int]) -> Any:
        return self.read(*key)

    def batch(self, keys: Sequence[tuple[int, int]], beside: Sequence[int] = ()) -> Any:
        """Read a batch of samples.

        Stand-ins are chosen among the videos that the step does not read anyway, as long as there
        are any: a step does not see a video twice.

        Args:
            keys: (epoch, index) of each sample.
            beside: Other videos of the same step, which other processes read.

        Returns:
            What `collate` makes of the samples.
        """
        # Videos that the step reads anyway: stand-ins should be others.
        taken = {index for _, index in keys}.union(beside)
        return self.collate([self.read(epoch, index, taken) for epoch, index in keys])

    def read(self, epoch: int, first: int, taken: AbstractSet[int] = frozenset()) -> Any:
        """Read the sample of a video, or of a stand-in if the video cannot be used.

        Args:
            epoch: Number of the epoch.
            first: Number of the video.
            taken: Videos that become stand-ins only if no other video can be used.

        Raises:
            InputError: None of the videos can be used.
        """
        skipped: list[str] = []
        for index in self._candidates(epoch, first, taken):
            # A stand-in draws the numbers of the video that it replaces.
            rng = np.random.default_rng((self.seed, epoch, first))
            try:
                with self.reading(self.title(index)):
                    return self.sample(index, rng, tuple(skipped))
            except LeftOut as error:
                # An empty message marks a video that has been reported before.
                if str(error):
                    skipped.append(str(error))

        reason = skipped[0] if skipped else "gone"
        raise InputError(f"none of the {len(self)} videos can be used; the first: {reason}")

    @contextmanager
    def reading(self, title: str) -> Iterator[None]:
        """Wrap the reading of one video; LeftOut, with the reason, when the video is unusable."""
        if title in self.left_out:
            raise LeftOut(self.left_out[title])

        # The title is announced before the read, which may block or kill this process.
        self.on_read(title)
        try:
            yield
        except (RunError, LeftOut):
            # A RunError concerns the whole run, so it must not become the fault of one video.
            raise
        except Exception as error:  # Decoders raise exceptions of any type on a damaged file.
            raise LeftOut(why_left_out(title, error)) from error

    def _candidates(self, epoch: int, first: int, taken: AbstractSet[int]) -> Iterator[int]:
        """Video `first`, then all other videos in random order, with the taken ones last."""
        yield first

        # An order of its own for each video and epoch: no video replaces all others.
        rng = np.random.default_rng((self.seed, epoch, first, STAND_IN))
        others = rng.permutation(len(self)).tolist()
        # Every other video follows, so the search fails only if no video at all can be used.
        others.remove(first)
        yield from (index for index in others if index not in taken)
        yield from (index for index in others if index in taken)

    def title(self, index: int) -> str:
        """The name of a video in messages."""
        return f"video {index}"

    @abstractmethod
    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> Any:
        """Make one sample of a video.

        Args:
            index: Number of the video.
            rng: Source of all random choices of the sample.
            skipped: Lines about videos that could not be used; the sample records them.

        Raises:
            InputError: The video cannot be used.
        """

    @abstractmethod
    def collate(self, samples: Sequence[Any]) -> Any:
        """Stack samples to a batch with the attributes `names` and `skipped`."""


class Remaining(VideoDataset):
    """A dataset after some of its videos were removed, numbered as before the removal.

    The numbers, and so all random draws, stay those of the original dataset. Videos that were
    removed cannot be used; stand-ins replace them.

    Args:
        videos: The dataset as it is now.
        titles: Titles of all videos of the original dataset.
        places: Number of each original video in `videos`; None if it was removed.
    """

    def __init__(self, videos: VideoDataset, titles: Sequence[str], places: Sequence[int | None]):
        super().__init__(len(titles), videos.seed)
        self.remaining, self.titles, self.places = videos, titles, places

    def title(self, index: int) -> str:
        return self.titles[index]

    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> Any:
        place = self.places[index]
        # Without a message: the removal of the video has been reported before.
        if place is None:
            raise LeftOut
        return self.remaining.sample(place, rng, skipped)

    def collate(self, samples: Sequence[Any]) -> Any:
        return self.remaining.collate(samples)


class LeftOut(Exception):  # noqa: N818  It reports on a video and is not an error of the run.
    """A video is unusable; the message is the reason in one line, or "" if it is known already."""


def why_left_out(title: str, error: Exception) -> str:
    """One line that names a video and gives the reason why it cannot be used."""
    if isinstance(error, InputError):
        return str(error)

    reason = type(error).__name__
    # Messages of decoders may have many lines; the first one fits into a report.
    lines = str(error).splitlines()
    if lines and lines[0]:
        reason += f": {lines[0]}"

    return f"{title}: cannot be read ({reason}); re-encode or remove it"


class ClipDataset(VideoDataset):
    """A dataset with one clip per video.

    Args:
        source: The videos.
        config: How clips are sampled and cropped.
        seed: Seed of all random choices.
    """

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
    """The part of a batch that one process reads."""

    keys: list[tuple[int, int]]
    """(epoch, index) of the samples that this process reads."""
    beside: tuple[int, ...] = ()
    """Videos of the batch that other processes read."""


class ClipSampler:
    """The shares of one process in all batches, with a new order of all videos in each epoch.

    The order is that of the batches of all processes together, so it does not depend on their
    number. A step takes `accumulate` batches of `ranks * batch` videos. Videos that remain at the
    end of an epoch and do not fill a step are left out of that epoch.

    Args:
        videos: Number of videos.
        batch: Videos that one process reads per batch.
        epochs: Number of epochs.
        seed: Seed of the orders.
        start: Step to start from.
        rank: Number of this process.
        ranks: Number of processes.
        accumulate: Batches per step.
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
        # A smaller last step would change the batch size, so it is left out.
        self.steps_per_epoch = videos // self.videos_per_step

    @property
    def videos_per_step(self) -> int:
        """Videos that all processes together see in a step."""
        return self.batch * self.ranks * self.accumulate

    def __len__(self) -> int:
        return (self.epochs * self.steps_per_epoch - self.start) * self.accumulate

    def __iter__(self) -> Iterator[Share]:
        # Each batch of all processes is cut into equal parts, and part `rank` is read here.
        batch_of_all_ranks = self.batch * self.ranks
        own = slice(self.rank * self.batch, (self.rank + 1) * self.batch)

        for epoch in range(self.start // self.steps_per_epoch, self.epochs):
            # Every process draws the order of all videos and takes its own part of each batch.
            order = np.random.default_rng((self.seed, epoch)).permutation(self.videos)
            # A resumed run skips the steps of its first epoch that are done already.
            first_step = max(self.start - epoch * self.steps_per_epoch, 0)
            first = first_step * self.accumulate
            stop = self.steps_per_epoch * self.accumulate

            for number in range(first, stop):
                videos = order[number * batch_of_all_ranks :][:batch_of_all_ranks].tolist()
                # Other processes read the rest of the batch; stand-ins must not repeat it.
                keys = [(epoch, index) for index in videos[own]]
                beside = videos[: own.start] + videos[own.stop :]
                yield Share(keys, tuple(beside))


def read_clip(reader: FrameReader, config: ClipConfig, rng: np.random.Generator) -> Tensor:
    """Read one clip, crop it and scale it.

    Args:
        reader: The video.
        config: How the clip is sampled and cropped.
        rng: Source of all random choices.

    Returns:
        The clip [T,3,size,size] uint8 RGB.

    Raises:
        InputError: The video is unreadable or empty, or has fewer than T frames although
            `config.spacing` does not allow repeated frames.
    """
    # With the spacing "whole", a clip must not repeat a frame.
    fewest = config.frames if config.spacing == "whole" else 1
    if len(reader) < fewest:
        raise InputError(
            f"{reader.path}: has {len(reader)} frames, fewer than the {config.frames} of a clip;"
            " left out"
        )

    # [T,H,W,3] uint8; one crop box holds for all frames of the clip.
    frames = reader.read(frame_indices(len(reader), config, rng))
    height, width = frames.shape[1:3]
    left, top, side = crop_box(width, height, config, rng)
    box = (left, top, left + side, top + side)

    # All frames share crop and mirroring, so the motion between them is that of the video.
    mirror = config.flip and rng.random() < 0.5
    images = [_crop(frame, box, config.size, mirror) for frame in frames]
    # [T,size,size,3] -> [T,3,size,size]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def frame_indices(length: int, config: ClipConfig, rng: np.random.Generator) -> list[int]:
    """Draw the positions of the T frames of a clip; the first is the clip's reference frame.

    The start of the clip is uniform over the starts that keep the whole clip inside the video.
    `config.spacing` decides what happens in a video with fewer than T * gap frames, and
    `config.order` which frame comes first.

    Args:
        length: Number of frames of the video.
        config: How the clip is sampled.
        rng: Source of the random start and order.

    Returns:
        T positions in 0..length-1.
    """
    # The span of a clip, frames of the video; a short video gives a smaller one.
    count = config.frames
    window = min(length, count * config.gap)

    if config.spacing == "whole":
        # A clip ends with its last frame, so it has more starts than the whole window.
        gap = window // count
        offsets = [gap * number for number in range(count)]
        last_start = length - 1 - offsets[-1]
    else:
        offsets = [number * window // count for number in range(count)]
        # The last gap - 1 starts are left out, as in the authors' code for Kinetics.
        last_start = length - window

    start = int(rng.integers(last_start + 1))
    order = rng.permutation(count) if config.order == "shuffled" else range(count)
    return [start + offsets[number] for number in order]


def crop_box(
    width: int, height: int, config: ClipConfig, rng: np.random.Generator
) -> tuple[float, float, float]:
    """Draw the square of a frame that becomes size x size pixels once the short side is scaled.

    Args:
        width: Width of the frame, pixels.
        height: Height of the frame, pixels.
        config: Range of the scaled short side, and where the crop lies.
        rng: Source of the random scale and place.

    Returns:
        Left edge, top edge and side, in pixels of the frame.
    """
    # Scaling the short side to a drawn length makes the square of this side size x size.
    low, high = config.short_side
    side = config.size * min(width, height) / rng.uniform(low, high)
    # The centred crop draws only the scale.
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
