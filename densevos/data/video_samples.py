"""MuG's sample of a video: an abstract of it, a short clip, and their foreground maps.

Source: "Learning Video Object Segmentation from Unlabeled Videos" (MuG), Sec. 3.1.
"""

# Shapes: B videos of a step, K segments of a video, S x S pixels of a scaled frame.

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
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels


@dataclass(frozen=True)
class VideoSample:
    """K + 3 frames of one video: its abstract, then a short clip of three frames.

    Both are in order of time.
    """

    frames: Tensor
    """[K+3,3,S,S] uint8 RGB."""
    initial: Tensor
    """[K+3,S,S] uint8 foreground maps: 0 background, 1 foreground, 255 unknown."""
    predicted: Tensor
    """[K+3,S,S] uint8 maps by the network of the last round; `initial` in the first round."""
    pair: tuple[int, int]
    """Positions of two distant frames of the abstract, in either order."""
    dropped: int
    """Number of maps that were set to unknown because they are all foreground or all background."""
    video: int
    """Number of the video; a batch may hold a sample twice if it stands in for another video."""
    name: str
    """Path or title of the video."""
    skipped: tuple[str, ...]
    """Videos that were tried before this one and could not be used: one line per video."""


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
    """A dataset with one sample per video.

    The maps of a video lie in a folder or archive that has the video's name in the source.

    Args:
        source: The videos.
        config: How frames are sampled, cut and scaled.
        seed: Seed of all random choices.
        initial: Folder of the initial foreground maps.
        predicted: Folder of the maps that the last round predicted; None in the first round.
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

        # One call reads both parts, so a reader can decode all frames in ascending order.
        abstract = abstract_indices(len(reader), config.segments, rng)
        indices = abstract + short_indices(len(reader), config.window, rng)
        frames = reader.read(indices)
        height, width = frames.shape[1:3]
        # Maps are found by the names of the frames, not by their positions.
        names = [reader.names[i] for i in indices]

        # Frames and maps share box and mirroring, so they stay aligned.
        box = random_box(width, height, config.zoom, rng)
        mirror = config.flip and bool(rng.random() < 0.5)
        initial = self._maps(self.initial, index, names, (height, width), box, mirror)

        # A map without a boundary carries no signal; unknown pixels are left out of the losses.
        dropped = [is_uninformative(ids) for ids in initial]
        initial[dropped] = VOID

        predicted = initial
        if self.predicted is not None:
            predicted = self._maps(self.predicted, index, names, (height, width), box, mirror)

        # Frames may be interpolated, unlike the ids of maps.
        images = []
        for frame in frames:
            image = Image.fromarray(frame)
            images.append(scaled(image, box, config.size, mirror, Image.Resampling.BILINEAR))

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
        size: tuple[int, int],
        box: Box,
        mirror: bool,
    ) -> np.ndarray:
        """Maps [n,S,S] of the frames `names`, cut and scaled like the frames of (H, W) = `size`."""
        left, top, right, bottom = box
        maps = []
        for ids in MapFolder(root).read(self.folders[index], names):
            # Maps may have been made at another size than the frames.
            y, x = ids.shape[0] / size[0], ids.shape[1] / size[1]
            box_in_map = (left * x, top * y, right * x, bottom * y)
            image = Image.fromarray(ids)
            # Ids must not be mixed: nearest neighbour.
            nearest = Image.Resampling.NEAREST
            # The same part and the same mirroring as of the frame, so that map and frame agree.
            maps.append(scaled(image, box_in_map, self.config.size, mirror, nearest))

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
    """Check that a video is long enough.

    Raises:
        InputError: It has too few frames for K segments or for a short clip.
    """
    fewest = max(config.segments, config.window)
    if len(reader) < fewest:
        raise InputError(
            f"{reader.path}: has {len(reader)} frames, fewer than the {fewest} of --clips.segments"
            " and --clips.window; left out"
        )


def abstract_indices(length: int, segments: int, rng: np.random.Generator) -> list[int]:
    """Draw one frame of each of K segments of equal length (Sec. 3.1, video granularity).

    Args:
        length: Number of frames of the video, at least `segments`.
        segments: K.
        rng: Source of the random choices.

    Returns:
        K positions in ascending order.
    """
    # The edges are rounded down, so segments differ by one frame at most.
    edges = np.linspace(0, length, segments + 1).astype(int)
    return [int(rng.integers(low, high)) for low, high in itertools.pairwise(edges)]


def short_indices(length: int, window: int, rng: np.random.Generator) -> list[int]:
    """Draw three of `window` successive frames (Sec. 3.1, short-term granularity).

    Args:
        length: Number of frames of the video, at least `window`.
        window: Number of successive frames to choose from.
        rng: Source of the random choices.

    Returns:
        Three positions in ascending order.
    """
    # The window starts anywhere in the video; three different frames of it are drawn.
    start = int(rng.integers(length - window + 1))
    offsets = rng.choice(window, SHORT, replace=False)
    return sorted(start + int(offset) for offset in offsets)


def distant_pair(indices: Sequence[int], gap: int, rng: np.random.Generator) -> tuple[int, int]:
    """Draw two frames that are at least `gap` frames apart.

    Args:
        indices: Positions of the frames in the video.
        gap: Least distance, frames.
        rng: Source of the random choice.

    Returns:
        Two positions in `indices`, in either order; the first and the last if no two frames are
        `gap` apart.
    """
    count = len(indices)
    # All ordered pairs, so that either frame of a pair can come first.
    pairs = []
    for first, second in itertools.product(range(count), repeat=2):
        if abs(indices[first] - indices[second]) >= gap:
            pairs.append((first, second))

    if not pairs:
        return 0, count - 1
    return pairs[rng.integers(len(pairs))]


def random_box(width: int, height: int, zoom: tuple[float, float], rng: np.random.Generator) -> Box:
    """Draw a part of a frame that has the frame's aspect ratio.

    Args:
        width: Width of the frame, pixels.
        height: Height of the frame, pixels.
        zoom: Range of the part's side as a fraction of the frame's.
        rng: Source of the random size and place.

    Returns:
        Left, top, right and bottom of the part, in pixels.
    """
    share = rng.uniform(*zoom)
    # The part of the whole frame has only one place.
    left, top = 0.0, 0.0
    if share < 1:
        left, top = rng.uniform(0, 1 - share, 2) * (width, height)

    return float(left), float(top), float(left + share * width), float(top + share * height)


def is_uninformative(ids: np.ndarray) -> bool:
    """Whether the known pixels of a map [H,W] are all foreground or all background."""
    # No known pixel, or all with the same id: there is no boundary to learn from.
    known = ids[ids != VOID]
    same: bool = known.size == 0 or known.min() == known.max()
    return same


def scaled(
    image: Image.Image, box: Box, size: int, mirror: bool, resample: Image.Resampling
) -> np.ndarray:
    """Cut the part `box` from an image and scale it to size x size pixels.

    Args:
        image: A frame or a map.
        box: The part to cut.
        size: Height and width of the result, pixels.
        mirror: Whether left and right are exchanged.
        resample: Pillow's filter.

    Returns:
        [size,size,3] or [size,size] uint8.
    """
    # Pillow cuts and scales in one step, so the box may have fractions of pixels.
    pixels = np.asarray(image.resize((size, size), resample, box=box))
    return pixels[:, ::-1] if mirror else pixels
