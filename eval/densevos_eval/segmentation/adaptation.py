"""Estimates a network's BatchNorm statistics on the frames that it is about to segment, or on
others of their domain (AdaBN).

This trains nothing and reads no label. It is the baseline of every domain adaptation.
"""

# Shapes: T frames of a clip, h x w pixels at the size that the network sees, C channels of a layer.

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from densevos.base.errors import InputError, RunError
from densevos.base.files import name_bytes
from densevos.base.parallel import BROKEN, Broken, OnStep, check_any
from densevos.data.segmentation.sets.registry import open_set
from densevos_eval.segmentation.classifier import Classifier, groups
from densevos_eval.segmentation.options import SegmentationInput, input_of
from densevos_eval.segmentation.statistics import batch_norm_layers, estimate_statistics
from densevos_eval.sequences.sequence import VideoSequence

FRAMES = 256
"""Largest number of frames that the estimate uses, evenly spread over the input.

More frames change little, and a long video need not be decoded twice.
"""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Running statistics of BatchNorm layers, and the frames that they were estimated on.

    values: arrays [C] float32 by their names in the network's state_dict.
    frames: number of frames that they were estimated on.
    sha256: hash of the names of these frames.
    layers: what the names of the layers begin with; empty: all layers.
    left_out: the errors of sequences that could not be read.
    root: folder of the set that these frames are of; None: they are those to segment.
    """

    values: Mapping[str, np.ndarray]
    frames: int
    sha256: str
    layers: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    root: Path | None = None

    def __str__(self) -> str:
        # The hash tells which frames; their folder may move before a run is resumed.
        frames = "frames" if self.root is None else "other frames"
        which = f" in {', '.join(self.layers)}" if self.layers else ""
        return f"of {self.frames} {frames} ({self.sha256[:12]}){which}"


@dataclass(frozen=True, kw_only=True)
class Glimpse:
    """Frames of one sequence that a network sees together.

    sequence: name of the sequence.
    indices: index of each of the T frames in the sequence.
    frames: [T,h,w,3] uint8, at the size that the network sees.
    """

    sequence: str
    indices: tuple[int, ...]
    frames: np.ndarray


def adapt(
    classifier: Classifier,
    material: SegmentationInput,
    on_step: OnStep = lambda name: None,
    layers: Sequence[str] = (),
) -> Statistics:
    """Estimate the statistics of the frames that `classifier` is to segment, or of others.

    The classifier itself is left unchanged. Frames that cannot be read are left out.

    Args:
        classifier: sees the frames at its size, in its batches, and in clips if its network takes
            clips.
        material: the whole input, even if this process segments only a part of it; or other
            frames of the same domain.
        on_step: called with the sequence's name for each frame.
        layers: what the names of the layers to estimate begin with, such as backbone.layer1; empty:
            all layers. The others keep the statistics of training.

    Returns:
        The statistics of those BatchNorm layers that see more than one value per channel and frame.

    Raises:
        InputError: if the network has no BatchNorm, or none in one of `layers`.
        InputError, RunError: if nothing can be read.
        RunError: if the device's memory is too short for a batch.
    """
    _check_layers(classifier, layers)

    # A copy: sequences that fail here are also reported by the run, which reads them again.
    broken = dict(material.broken)
    glimpses = list(_glimpses(classifier, material, broken))
    check_any(broken, [sequence.name for sequence in material.sequences])
    batches = mixed_batches(glimpses, classifier.batch)

    def show(batch: Sequence[Glimpse]) -> None:
        try:
            classifier.see(np.stack([glimpse.frames for glimpse in batch]))
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            frames = len(batch) * len(batch[0].frames)
            raise RunError(
                f"--adapt-statistics: memory is too short for {frames} frames; take a --size"
            ) from error

        for glimpse in batch:
            for _ in glimpse.indices:
                on_step(glimpse.sequence)

    # The hash must not depend on how glimpses were grouped into batches.
    seen = sorted((glimpse.sequence, glimpse.indices) for glimpse in glimpses)
    return Statistics(
        values=estimate_statistics(classifier.network, show, batches, layers),
        frames=sum(len(glimpse.indices) for glimpse in glimpses),
        sha256=hashlib.sha256(name_bytes(repr(seen))).hexdigest(),
        layers=tuple(layers),
        left_out=tuple(str(error) for error in broken.values()),
    )


def other_input(spec: str) -> SegmentationInput:
    """The frames of an unlabelled set, for statistics of other frames than those to segment.

    Args:
        spec: the set as SET:ROOT, as it is given to training. Its split train is read, and at most
            `FRAMES` of its images and videos, evenly spread.

    Raises:
        InputError: if there is no such set, or it is empty.
    """
    try:
        dataset = open_set(spec, "train", labels=False)
    except InputError as error:
        raise InputError(f"--adapt-from {error}") from error

    # One frame of each of so many videos is enough, so that the others need not be opened.
    shots = [dataset.shots[place] for place in spread(len(dataset.shots), FRAMES)]
    return replace(input_of(shots, labelled=False), notes=dataset.notes)


def _check_layers(classifier: Classifier, layers: Sequence[str]) -> None:
    """Check that there is BatchNorm in the network, and in each of `layers`."""
    every = batch_norm_layers(classifier.network)
    if not every:
        raise InputError(
            "--adapt-statistics: this network has no BatchNorm layers, so there are no statistics"
            " to estimate; leave the option out"
        )

    for beginning in layers:
        if not batch_norm_layers(classifier.network, [beginning]):
            # Two parts of a name, such as backbone.layer1, are a stage or the whole head.
            parts = dict.fromkeys(".".join(name.split(".")[:2]) for name in every)
            raise InputError(
                f"--adapt-layers {beginning}: no BatchNorm layer's name begins so; there are"
                f" {', '.join(parts)}"
            )


def frames_to_see(
    classifier: Classifier, material: SegmentationInput
) -> dict[str, list[tuple[int, ...]]]:
    """Choose the clips that the statistics are estimated on, at most `FRAMES` frames in all.

    Args:
        classifier: its network fixes the number of frames of a clip: 1 for a 2D network.
        material: the whole input.

    Returns:
        Name of a sequence -> frame indices of each of its chosen clips.
    """
    clip = classifier.network.clip_frames
    candidates: list[tuple[str, tuple[int, ...]]] = []
    for sequence in material.sequences:
        if sequence.name in material.broken:
            continue

        count = len(sequence.frame_names)
        # One clip at a time, or one frame of a 2D network.
        clips = groups(count, clip, _wanted(sequence), gap=classifier.gap, batch=1)
        for frames, _ in clips:
            candidates.append((sequence.name, tuple(frames)))

    # Evenly over all clips of the input, so that long sequences count more than short ones.
    chosen: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for place in spread(len(candidates), max(1, FRAMES // clip)):
        name, indices = candidates[place]
        chosen[name].append(indices)

    return chosen


def spread(count: int, most: int) -> list[int]:
    """Choose at most `most` of the places 0 to count - 1, one in the middle of each equal part.

    Args:
        count: number of places.
        most: largest number of places to choose.

    Returns:
        The chosen places, ascending; all of them if there are no more than `most`.

    >>> spread(3, 5), spread(10, 2)
    ([0, 1, 2], [2, 7])
    """
    parts = min(count, most)
    # The middle of a part is (part + 1/2) * count / parts, here in whole numbers.
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def mixed_batches(glimpses: Sequence[Glimpse], size: int) -> list[list[Glimpse]]:
    """Group glimpses of one shape into batches, each drawn from all over the input.

    Args:
        glimpses: in the order of sequences and frames.
        size: largest number of frames in a batch. A clip that is longer is a batch by itself.

    Returns:
        The batches. Those of one shape are equally large, or differ by one glimpse.
    """
    same_shape: dict[tuple[int, ...], list[Glimpse]] = defaultdict(list)
    for glimpse in glimpses:
        same_shape[glimpse.frames.shape].append(glimpse)

    batches = []
    for shape, members in same_shape.items():
        # shape[0] is the number of frames of a clip; a batch has at least one clip.
        count = math.ceil(len(members) / max(1, size // shape[0]))
        # Each layer normalises by its batch, so a batch must not hold one video only: its members
        # are taken with a stride of `count`.
        for first in range(count):
            batches.append(members[first::count])

    return batches


def _wanted(sequence: VideoSequence) -> list[int]:
    written = set(sequence.written)
    return [index for index, name in enumerate(sequence.frame_names) if name in written]


def _glimpses(
    classifier: Classifier, material: SegmentationInput, broken: dict[str, Broken]
) -> Iterator[Glimpse]:
    """Read the chosen clips; sequences that cannot be read are added to `broken`."""
    for name, clips in frames_to_see(classifier, material).items():
        try:
            reader = material.open[name]()
            for indices in clips:
                # Shrunk immediately: all glimpses are in memory together.
                frames = classifier.shrink(reader.read(list(indices)))
                yield Glimpse(sequence=name, indices=indices, frames=frames)
        except BROKEN as error:
            broken[name] = error
