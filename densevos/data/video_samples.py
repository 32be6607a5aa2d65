"""What MuG sees of a video in one step: an abstract of it, a short clip, and their foreground
maps.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densevos.base.errors import InputError
from densevos.base.masks import VOID
from densevos.config import MugClipConfig
from densevos.data.clips import VideoDataset
from densevos.data.foreground.map_files import MapFolder
from densevos.data.sources.source import FrameReader, VideoSource

SHORT = 3  # frames of the short-term clip
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class VideoSample:
    """K + 3 frames of one video: its abstract in order of time, then three of a short clip in order
    of time.
    """

    frames: Tensor
    """[K+3,3,S,S] uint8 RGB."""
    initial: Tensor
    """[K+3,S,S] uint8 foreground maps: 0, 1, 255 unknown."""
    predicted: Tensor
    """[K+3,S,S] the same by the last round's network; `initial` itself in the first round."""
    pair: tuple[int, int]
    """Two distant frames of the abstract, in either order."""
    dropped: int
    """Maps that say nothing, being all foreground or all background: they are made unknown."""
    video: int
    """Its number: the same sample may be there twice, where it stands in for a video that cannot be
    used.
    """
    name: str
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class VideoBatch:
    """Samples of one step, stacked along a first dimension B; see VideoSample."""

    frames: Tensor
    initial: Tensor
    predicted: Tensor
    pairs: Tensor
    videos: Tensor
    dropped: int
    names: tuple[str, ...]
    skipped: tuple[str, ...]


class VideoSamples(VideoDataset):
    """One sample a video; maps of a video are in a folder or archive that has its name in the
    source.
    """

    def __init__(
        self,
        source: VideoSource,
        config: MugClipConfig,
        seed: int,
        initial: Path,
        predicted: Path | None = None,
    ):
        super().__init__(len(source), seed)
        self.source, self.folders, self.config = source, source.names, config
        self.initial, self.predicted = initial, predicted

    def title(self, index: int) -> str:
        return self.source.title(index)

    def sample(self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]) -> VideoSample:
        config, reader = self.config, self.source.open(index)
        check_length(reader, config)
        abstract = abstract_indices(len(reader), config.segments, rng)
        indices = [*abstract, *short_indices(len(reader), config.window, rng)]
        frames = reader.read(indices)
        box = random_box(frames.shape[2], frames.shape[1], config.zoom, rng)
        mirror = config.flip and bool(rng.random() < 0.5)
        names = [reader.names[i] for i in indices]
        initial = self._maps(self.initial, index, names, frames.shape[1:3], box, mirror)
        dropped = [is_uninformative(one) for one in initial]
        initial[dropped] = VOID
        predicted = initial
        if self.predicted is not None:
            predicted = self._maps(self.predicted, index, names, frames.shape[1:3], box, mirror)

        images = [
            scaled(Image.fromarray(f), box, config.size, mirror, Image.Resampling.BILINEAR)
            for f in frames
        ]

        return VideoSample(
            frames=torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
            initial=torch.from_numpy(initial),
            predicted=torch.from_numpy(predicted),
            pair=distant_pair(abstract, config.pair_gap, rng),
            dropped=sum(dropped),
            video=index,
            name=self.source.title(index),
            skipped=skipped,
        )

    def _maps(
        self,
        root: Path,
        index: int,
        names: list[str],
        size: tuple[int, ...],
        box: Box,
        mirror: bool,
    ) -> np.ndarray:
        """Maps [n,S,S] of the frames called `names`, cut and scaled like the frames [H,W] =
        `size`.
        """
        maps = []
        for ids in MapFolder(root).read(self.folders[index], names):
            y, x = ids.shape[0] / size[0], ids.shape[1] / size[1]
            here = (box[0] * x, box[1] * y, box[2] * x, box[3] * y)
            maps.append(
                scaled(
                    Image.fromarray(ids), here, self.config.size, mirror, Image.Resampling.NEAREST
                )
            )

        return np.stack(maps)

    def collate(self, samples: Sequence[VideoSample]) -> VideoBatch:
        return VideoBatch(
            frames=torch.stack([sample.frames for sample in samples]),
            initial=torch.stack([sample.initial for sample in samples]),
            predicted=torch.stack([sample.predicted for sample in samples]),
            pairs=torch.tensor([sample.pair for sample in samples]),
            videos=torch.tensor([sample.video for sample in samples]),
            dropped=sum(sample.dropped for sample in samples),
            names=tuple(sample.name for sample in samples),
            skipped=tuple(reason for sample in samples for reason in sample.skipped),
        )


def check_length(reader: FrameReader, config: MugClipConfig) -> None:
    """Raise InputError for a video with too few frames for K segments or a short clip."""
    fewest = max(config.segments, config.window)
    if len(reader) < fewest:
        raise InputError(
            f"{reader.path}: has {len(reader)} frames, fewer than the {fewest} of --clips.segments and"
            " --clips.window; left out"
        )


def abstract_indices(length: int, segments: int, rng: np.random.Generator) -> list[int]:
    """One random frame of each of K segments of equal duration (Sec. 3.1, video granularity)."""
    edges = np.linspace(0, length, segments + 1).astype(int)
    return [int(rng.integers(low, high)) for low, high in itertools.pairwise(edges)]


def short_indices(length: int, window: int, rng: np.random.Generator) -> list[int]:
    """Three frames, in order, of `window` successive ones (Sec. 3.1, short-term granularity)."""
    start = int(rng.integers(length - window + 1))
    return sorted(start + int(i) for i in rng.choice(window, SHORT, replace=False))


def distant_pair(indices: Sequence[int], gap: int, rng: np.random.Generator) -> tuple[int, int]:
    """Positions, in either order, of two frames at least `gap` apart, or of the first and last
    where none are.
    """
    count = len(indices)
    pairs = [
        (i, j) for i in range(count) for j in range(count) if abs(indices[i] - indices[j]) >= gap
    ]

    return pairs[rng.integers(len(pairs))] if pairs else (0, count - 1)


def random_box(width: int, height: int, zoom: tuple[float, float], rng: np.random.Generator) -> Box:
    """Left, top, right, bottom of a part of the frame with the frame's aspect, in pixels."""
    share = rng.uniform(*zoom)
    left, top = rng.uniform(0, 1 - share, 2) * (width, height) if share < 1 else (0.0, 0.0)
    return float(left), float(top), float(left + share * width), float(top + share * height)


def is_uninformative(ids: np.ndarray) -> bool:
    """Whether a map's known pixels are all foreground or all background."""
    known = ids[ids != VOID]
    return known.size == 0 or known.min() == known.max()


def scaled(
    image: Image.Image, box: Box, size: int, mirror: bool, resample: Image.Resampling
) -> np.ndarray:
    """The part `box` of an image at size x size pixels, mirrored on request."""
    pixels = np.asarray(image.resize((size, size), resample, box=box))
    return pixels[:, ::-1] if mirror else pixels
