"""Training samples of two domains: a labelled image and a clip of a video, cut and scaled alike."""

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
    """[m,T] bool: False for empty frames, which fill up clips that are made of one image."""
    labelled: Tensor
    """[m,T] bool: frames that have labels."""
    names: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class DomainSample:
    """Part of a batch: its first dimension n and m is 0 or 1."""

    tensors: dict[str, Tensor]
    name: str
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class Cut:
    """Frames [t,3,S,S] of one shot and their labels [t,S,S], VOID where `labelled` [t] is False."""

    frames: Tensor
    labels: Tensor
    labelled: Tensor


class DomainSamples(VideoDataset):
    """`samples[epoch, index]`: labelled frame `index` of the images, with a clip of any video.

    Without images (`source`) the labelled frames are those of the videos, each in the middle of its
    clip or near it; without videos (`target`) there are no clips. An epoch takes every labelled
    frame once.
    """

    def __init__(
        self,
        source: Sequence[SegmentationSet],
        target: Sequence[SegmentationSet],
        config: ClipConfig,
        seed: int,
    ):
        learned = source or target
        self.labelled = [
            (shot, i) for each in learned for shot in each.shots for i in shot.labelled
        ]
        super().__init__(len(self.labelled), seed)
        self.with_images, self.target, self.config = bool(source), list(target), config

    def title(self, index: int) -> str:
        return str(self.labelled[index][0].source)

    def sample(
        self, index: int, rng: np.random.Generator, skipped: tuple[str, ...]
    ) -> DomainSample:
        """Raises InputError when the frame cannot be read; RunError for wrong labels and when no
        clip can be read.
        """
        shot, frame = self.labelled[index]
        if not self.with_images:
            return DomainSample(
                {**no_images(self.config), **self._clip(shot, frame, rng)},
                str(shot.source),
                skipped,
            )

        image = cut(shot, [frame], self.config, rng)
        tensors = {"images": image.frames, "image_labels": image.labels}
        clip, passed_over = self._any_clip(rng)
        return DomainSample({**tensors, **clip}, str(shot.source), (*skipped, *passed_over))

    def _any_clip(self, rng: np.random.Generator) -> tuple[dict[str, Tensor], list[str]]:
        """A clip of a random shot of a random set, and why others before it could not be used."""
        if not self.target:
            return no_clips(self.config), []

        shots = self.target[rng.integers(len(self.target))].shots
        first = int(rng.integers(len(shots)))
        passed_over: list[str] = []

        for number in _at_random(len(shots), first, rng):
            shot = shots[number]
            labelled = int(rng.choice(shot.labelled)) if shot.labelled else None
            try:
                with self.reading(str(shot.source)):
                    return self._clip(shot, labelled, rng), passed_over
            except LeftOut as error:
                passed_over.append(str(error))

        # Not an InputError, by which the next image would be tried, in vain.
        raise RunError(
            f"none of the {len(shots)} videos can be used; give others; the first: {passed_over[0]}"
        )

    def _clip(self, shot: Shot, frame: int | None, rng: np.random.Generator) -> dict[str, Tensor]:
        """A clip of T frames, with `frame` among them if given; one image is followed by empty
        frames.
        """
        wanted, length = self.config.frames, len(shot.open())
        indices = (
            [0]
            if length == 1
            else clip_indices(length, wanted, self.config.gap, rng, frame, str(shot.source))
        )
        part = cut(shot, indices, self.config, rng)
        real = torch.arange(wanted) < len(indices)
        padding = (0, 0) * 3 + (0, wanted - len(indices))

        return {
            "clips": torch.nn.functional.pad(part.frames, padding)[None],
            "clip_labels": torch.nn.functional.pad(part.labels, padding[2:], value=VOID)[None],
            "real": real[None],
            "labelled": torch.nn.functional.pad(part.labelled, padding[6:])[None],
        }

    def collate(self, samples: Sequence[DomainSample]) -> DomainBatch:
        return DomainBatch(
            **{name: torch.cat([s.tensors[name] for s in samples]) for name in samples[0].tensors},
            names=tuple(sample.name for sample in samples),
            skipped=tuple(reason for sample in samples for reason in sample.skipped),
        )


def _at_random(count: int, first: int, rng: np.random.Generator) -> Iterator[int]:
    """All numbers below `count`, `first` before the others."""
    yield first
    yield from (number for number in rng.permutation(count).tolist() if number != first)


def no_images(config: ClipConfig) -> dict[str, Tensor]:
    """What a sample without an image adds to a batch."""
    return {
        "images": torch.zeros(0, 3, config.size, config.size, dtype=torch.uint8),
        "image_labels": torch.zeros(0, config.size, config.size, dtype=torch.uint8),
    }


def no_clips(config: ClipConfig) -> dict[str, Tensor]:
    """What a sample without a clip adds to a batch."""
    return {
        "clips": torch.zeros(0, config.frames, 3, config.size, config.size, dtype=torch.uint8),
        "clip_labels": torch.zeros(0, config.frames, config.size, config.size, dtype=torch.uint8),
        "real": torch.zeros(0, config.frames, dtype=torch.bool),
        "labelled": torch.zeros(0, config.frames, dtype=torch.bool),
    }


def clip_indices(
    length: int, frames: int, gap: int, rng: np.random.Generator, around: int | None, source: str
) -> list[int]:
    """`frames` indices `gap` apart, or as far as the video allows, at random, or with frame
    `around` among them.

    Raises InputError for a video of fewer frames.
    """
    if length < frames:
        raise InputError(
            f"{source}: has {length} frames, fewer than the {frames} of a clip; left out"
        )

    for step in range(gap, 0, -1):
        last = length - 1 - (frames - 1) * step
        starts = range(last + 1) if around is None else [around - k * step for k in range(frames)]
        starts = [start for start in starts if 0 <= start <= last]
        if starts:
            start = starts[rng.integers(len(starts))]
            return list(range(start, start + (frames - 1) * step + 1, step))

    raise InputError(f"{source}: has {length} frames and no frame {around}")


def cut(shot: Shot, indices: Sequence[int], config: ClipConfig, rng: np.random.Generator) -> Cut:
    """Frames of a shot and their labels, all cropped, scaled and mirrored alike."""
    frames = shot.open().read(indices)
    left, top, side = crop_box(frames.shape[2], frames.shape[1], config, rng)
    mirror = config.flip and bool(rng.random() < 0.5)
    box = (left, top, left + side, top + side)
    pixels = [
        scaled(Image.fromarray(f), box, config.size, mirror, Image.Resampling.BILINEAR)
        for f in frames
    ]
    labels = np.full((len(indices), config.size, config.size), VOID, np.uint8)
    labelled = [index in shot.labelled for index in indices]

    for number, index in enumerate(indices):
        if labelled[number]:
            ids = Image.fromarray(_labels(shot, index))
            labels[number] = scaled(ids, box, config.size, mirror, Image.Resampling.NEAREST)

    return Cut(
        torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(labels),
        torch.tensor(labelled),
    )


def _labels(shot: Shot, index: int) -> np.ndarray:
    try:
        return shot.labels(index)
    except (
        InputError
    ) as error:  # A wrong class map is not to be passed over as an unreadable video is.
        raise RunError(str(error)) from error
