"""Training samples of two domains: a labelled image, and a clip of a video cropped the same way."""

# Shapes: n images and m clips in a batch, T frames of a clip, S side of a crop in pixels, t frames
# that are read, H x W pixels of a frame.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from densevos.base.errors import InputError, RunError
from densevos.base.masks import VOID
from densevos.config import ClipConfig
from densevos.data.clips import LeftOut, VideoDataset, crop_box
from densevos.data.segmentation.segmentation_set import SegmentationSet, Shot
from densevos.data.video_samples import scaled


@dataclass(frozen=True, kw_only=True)
class DomainBatch:
    """n images of the source domain and m clips of the target domain."""

    images: Tensor
    """[n,3,S,S] uint8 RGB."""
    image_labels: Tensor
    """[n,S,S] uint8 class ids, 255 = void."""
    clips: Tensor
    """[m,T,3,S,S] uint8 RGB, in order of time."""
    clip_labels: Tensor
    """[m,T,S,S] uint8, 255 where frames have no labels."""
    real: Tensor
    """[m,T] bool: False for the empty frames that follow a clip of one image."""
    labelled: Tensor
    """[m,T] bool: frames that have labels."""
    names: tuple[str, ...]
    """Source of each sample."""
    skipped: tuple[str, ...]
    """One line for each image or video that could not be used."""


@dataclass(frozen=True)
class DomainSample:
    """One sample: a batch whose n and m are 0 or 1; see `DomainBatch`."""

    tensors: dict[str, Tensor]
    name: str
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """Crops of frames of one shot, with their labels."""

    frames: Tensor
    """[t,3,S,S] uint8 RGB."""
    labels: Tensor
    """[t,S,S] uint8 class ids, 255 in frames without labels."""
    labelled: Tensor
    """[t] bool: frames that have labels."""


class DomainSamples(VideoDataset):
    """`samples[epoch, index]`: labelled image number `index`, with a clip of a random video.

    An epoch uses every labelled frame once. Without images (`source`), the labelled frames are
    those of the videos, and a sample is a clip that contains the frame. Without videos (`target`)
    there are no clips.

    Args:
        source: Sets of labelled images.
        target: Sets of videos.
        config: How clips and crops are taken.
        seed: Seed of all random choices.
    """

    def __init__(
        self,
        source: Sequence[SegmentationSet],
        target: Sequence[SegmentationSet],
        config: ClipConfig,
        seed: int,
    ):
        # One entry per labelled frame: its shot and its position in the shot.
        self.labelled: list[tuple[Shot, int]] = []
        for opened in source or target:
            for shot in opened.shots:
                self.labelled.extend((shot, frame) for frame in shot.labelled)

        super().__init__(len(self.labelled), seed)
        self.with_images = bool(source)
        self.target = list(target)
        self.config = config

    def title(self, index: int) -> str:
        """Source of the labelled frame, for messages."""
        return str(self.labelled[index][0].source)

    def sample(
        self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]
    ) -> DomainSample:
        """Make a sample.

        Args:
            index: Number of the labelled frame.
            rng: Random numbers of this sample.
            skipped: One line for each frame that could not be read before.

        Raises:
            InputError: The frame cannot be read.
            RunError: The labels are wrong, or no clip can be read.
        """
        shot, frame = self.labelled[index]
        if not self.with_images:
            tensors = no_images(self.config) | self._clip(shot, frame, rng)
            return DomainSample(tensors, str(shot.source), skipped)

        # The image first: if it cannot be read, no clip is read in vain.
        image = cut(shot, [frame], self.config, rng)
        tensors = {"images": image.frames, "image_labels": image.labels}
        clip, passed_over = self._any_clip(rng)
        return DomainSample(tensors | clip, str(shot.source), (*skipped, *passed_over))

    def _any_clip(self, rng: np.random.Generator) -> tuple[dict[str, Tensor], list[str]]:
        """A clip of a random video of a random set, and why others before it could not be used."""
        if not self.target:
            return no_clips(self.config), []

        # Sets are equally likely, whatever their sizes.
        shots = self.target[rng.integers(len(self.target))].shots
        first = int(rng.integers(len(shots)))
        passed_over: list[str] = []

        for number in _at_random(len(shots), first, rng):
            shot = shots[number]
            # A clip of a labelled video contains at least one labelled frame.
            labelled = int(rng.choice(shot.labelled)) if shot.labelled else None
            try:
                with self.reading(str(shot.source)):
                    return self._clip(shot, labelled, rng), passed_over
            except LeftOut as error:
                passed_over.append(str(error))

        # Not an InputError: that would make the caller try the next image, which fails as well.
        raise RunError(
            f"none of the {len(shots)} videos can be used; give others; the first: {passed_over[0]}"
        )

    def _clip(self, shot: Shot, frame: int | None, rng: np.random.Generator) -> dict[str, Tensor]:
        """A clip of T frames that contains `frame`; an image is followed by empty frames."""
        # One frame is an image; longer shots give a clip that contains the labelled frame.
        wanted, length = self.config.frames, len(shot.open())
        if length == 1:
            indices = [0]
        else:
            indices = clip_indices(length, wanted, self.config.gap, rng, frame, str(shot.source))

        part = cut(shot, indices, self.config, rng)

        # An image becomes a clip of one real frame, so that all samples have the same shape.
        real = torch.arange(wanted) < len(indices)

        return {
            "clips": _filled(part.frames, wanted, 0)[None],
            "clip_labels": _filled(part.labels, wanted, VOID)[None],
            "real": real[None],
            "labelled": _filled(part.labelled, wanted, 0)[None],
        }

    def collate(self, samples: Sequence[DomainSample]) -> DomainBatch:
        """Join samples into a batch."""
        # Samples have n and m of 0 or 1, so joining along the first axis counts images and clips.
        tensors: dict[str, Tensor] = {}
        for name in samples[0].tensors:
            tensors[name] = torch.cat([sample.tensors[name] for sample in samples])

        names: list[str] = []
        skipped: list[str] = []
        for sample in samples:
            skipped.extend(sample.skipped)
            names.append(sample.name)

        return DomainBatch(**tensors, names=tuple(names), skipped=tuple(skipped))


def _filled(values: Tensor, length: int, fill: int) -> Tensor:
    """[t,...] -> [length,...]: frames that hold `fill` are appended."""
    # Added frames have the type of the real ones, so samples of a batch can be joined.
    missing = values.new_full((length - len(values), *values.shape[1:]), fill)
    return torch.cat([values, missing])


def _at_random(count: int, first: int, rng: np.random.Generator) -> Iterator[int]:
    """All numbers below `count` in random order, but `first` before the others."""
    # The order is drawn only if the first video fails, which keeps the usual sample fast.
    yield first
    yield from (number for number in rng.permutation(count).tolist() if number != first)


def no_images(config: ClipConfig) -> dict[str, Tensor]:
    """The images of a sample without an image: tensors with n = 0."""
    return {
        "images": torch.zeros(0, 3, config.size, config.size, dtype=torch.uint8),
        "image_labels": torch.zeros(0, config.size, config.size, dtype=torch.uint8),
    }


def no_clips(config: ClipConfig) -> dict[str, Tensor]:
    """The clips of a sample without a clip: tensors with m = 0."""
    frames, size = config.frames, config.size
    return {
        "clips": torch.zeros(0, frames, 3, size, size, dtype=torch.uint8),
        "clip_labels": torch.zeros(0, frames, size, size, dtype=torch.uint8),
        "real": torch.zeros(0, frames, dtype=torch.bool),
        "labelled": torch.zeros(0, frames, dtype=torch.bool),
    }


def clip_indices(
    length: int, frames: int, gap: int, rng: np.random.Generator, around: int | None, source: str
) -> list[int]:
    """Draw the frames of a clip.

    Args:
        length: Number of frames of the video.
        frames: Number of frames of the clip.
        gap: Number of frames from one frame of the clip to the next. If the video is too short, the
            largest gap that fits is used.
        rng: Random numbers.
        around: Index of a frame that the clip must contain; None for any clip.
        source: Name of the video, for messages.

    Returns:
        Indices of the frames, ascending.

    Raises:
        InputError: The video has fewer frames than a clip, or no frame `around`.
    """
    # Even successive frames would not suffice for a clip.
    if length < frames:
        raise InputError(
            f"{source}: has {length} frames, fewer than the {frames} of a clip; left out"
        )

    # The wanted gap first, then smaller ones.
    for step in range(gap, 0, -1):
        last = length - 1 - (frames - 1) * step

        # `around` may be any frame of the clip.
        starts: Sequence[int] = range(last + 1)
        if around is not None:
            starts = [around - k * step for k in range(frames)]

        starts = [start for start in starts if 0 <= start <= last]
        if starts:
            start = starts[rng.integers(len(starts))]
            return list(range(start, start + (frames - 1) * step + 1, step))

    raise InputError(f"{source}: has {length} frames and no frame {around}")


def cut(shot: Shot, indices: Sequence[int], config: ClipConfig, rng: np.random.Generator) -> Cut:
    """Read frames of a shot with their labels, all cropped, scaled and mirrored in the same way.

    Args:
        shot: The image or video.
        indices: Indices of the frames.
        config: How crops are taken.
        rng: Random numbers.

    Raises:
        InputError: A frame cannot be read.
        RunError: Labels cannot be read.
    """
    # [t,H,W,3] uint8, all of one size.
    frames = shot.open().read(indices)

    # One box and one decision to mirror for all frames, so that motion stays as it is.
    left, top, side = crop_box(frames.shape[2], frames.shape[1], config, rng)
    mirror = config.flip and bool(rng.random() < 0.5)
    box = (left, top, left + side, top + side)
    pixels = []
    for frame in frames:
        image = Image.fromarray(frame)
        pixels.append(scaled(image, box, config.size, mirror, Image.Resampling.BILINEAR))

    # Ids must not be mixed, so the nearest pixel is taken.
    labels = np.full((len(indices), config.size, config.size), VOID, np.uint8)
    labelled = np.zeros(len(indices), bool)

    for number, index in enumerate(indices):
        if index in shot.labelled:
            labelled[number] = True
            ids = Image.fromarray(_labels(shot, index))
            labels[number] = scaled(ids, box, config.size, mirror, Image.Resampling.NEAREST)

    return Cut(
        # [t,S,S,3] -> [t,3,S,S]
        torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(labels),
        torch.from_numpy(labelled),
    )


def _labels(shot: Shot, index: int) -> np.ndarray:
    """The labels of a frame; RunError if they are wrong."""
    try:
        return shot.labels(index)
    except InputError as error:
        # Training skips videos with an InputError, but a wrong class map must stop it.
        raise RunError(str(error)) from error
