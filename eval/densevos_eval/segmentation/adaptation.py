"""A segmentation network's BatchNorm statistics, estimated anew on the frames that it is about to
segment.

Nothing is trained and no label is read: the baseline of every domain adaptation.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from densevos.base.errors import InputError, RunError
from densevos.base.files import name_bytes
from densevos.base.parallel import BROKEN, Broken, OnStep, check_any
from densevos_eval.segmentation.classifier import Classifier, groups
from densevos_eval.segmentation.options import Material
from densevos_eval.segmentation.statistics import batch_norm_layers, estimate_statistics
from densevos_eval.sequences.sequence import VideoSequence

FRAMES = 256
"""At most so many frames are looked at, evenly spread over the material: more change little, and a
long video need not be decoded twice as a whole."""


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Running statistics of BatchNorm, and the frames they are of.

    values: Arrays [C] float32 by their names in the network's state_dict. frames: How many frames
    they are of. sha256: Tells which frames, by name.
    """

    values: Mapping[str, np.ndarray]
    frames: int
    sha256: str

    def __str__(self) -> str:
        return f"of {self.frames} frames ({self.sha256[:12]})"


@dataclass(frozen=True, kw_only=True)
class Glimpse:
    """Frames that a network sees together: [T,h,w,3] uint8 at its size, from a sequence."""

    sequence: str
    indices: tuple[int, ...]
    frames: np.ndarray


def adapt(
    classifier: Classifier, material: Material, on_step: OnStep = lambda name: None
) -> Statistics:
    """The statistics of what `classifier` is to segment, which stays as it is.

    Frames that cannot be read are left out.

    Args:
        classifier: Frames are shown to it at its size, in clips if its network sees clips, and in
            its batches.
        material: All of it, whatever part of it this process segments.
        on_step: Called with the sequence's name for each frame.

    Raises:
        InputError: The network has no BatchNorm.
        InputError, RunError: Nothing can be read.
        RunError: The device's memory is too short for a batch.
    """
    if not batch_norm_layers(classifier.network):
        raise InputError(
            "--adapt-statistics: this network has no BatchNorm, whose statistics it estimates; leave it out"
        )

    broken = dict(material.broken)
    glimpses = list(_glimpses(classifier, material, broken))
    check_any(broken, [sequence.name for sequence in material.sequences])
    batches = mixed_batches(glimpses, classifier.batch)

    def show(batch: Sequence[Glimpse]) -> None:
        try:
            classifier.see(np.stack([one.frames for one in batch]))
        except (MemoryError, torch.cuda.OutOfMemoryError) as error:
            frames = sum(len(one.frames) for one in batch)
            raise RunError(
                f"--adapt-statistics: memory is too short for {frames} frames; take a --size"
            ) from error

        for one in batch:
            for _ in one.indices:
                on_step(one.sequence)

    seen = sorted((one.sequence, one.indices) for batch in batches for one in batch)
    return Statistics(
        values=estimate_statistics(classifier.network, show, batches),
        frames=sum(len(indices) for _, indices in seen),
        sha256=hashlib.sha256(name_bytes(repr(seen))).hexdigest(),
    )


def frames_to_see(classifier: Classifier, material: Material) -> dict[str, list[tuple[int, ...]]]:
    """The clips of each sequence that are looked at, a frame each for a network without clips."""
    clip = classifier.network.clip_frames
    every = [
        (sequence.name, tuple(indices))
        for sequence in material.sequences
        if sequence.name not in material.broken
        for indices, _ in groups(
            len(sequence.frame_names), clip, _wanted(sequence), gap=classifier.gap, batch=1
        )
    ]
    chosen: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for place in spread(len(every), max(1, FRAMES // clip)):
        name, indices = every[place]
        chosen[name].append(indices)

    return chosen


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the places 0 to count - 1, each in the middle of an equal part.

    >>> spread(3, 5), spread(10, 2)
    ([0, 1, 2], [2, 7])
    """
    parts = min(count, most)
    return [(2 * part + 1) * count // (2 * parts) for part in range(parts)]


def mixed_batches(glimpses: Sequence[Glimpse], size: int) -> list[list[Glimpse]]:
    """Batches of glimpses of one shape, each from all over the material, that hold at most `size`
    frames or one clip.

    Batches of one shape are equally large, or differ by one glimpse.
    """
    alike: dict[tuple[int, ...], list[Glimpse]] = defaultdict(list)
    for glimpse in glimpses:
        alike[glimpse.frames.shape].append(glimpse)

    batches = []
    for (frames, *_), members in alike.items():
        count = math.ceil(len(members) / max(1, size // frames))
        batches += [members[first::count] for first in range(count)]

    return batches


def _wanted(sequence: VideoSequence) -> list[int]:
    written = set(sequence.written)
    return [index for index, name in enumerate(sequence.frame_names) if name in written]


def _glimpses(
    classifier: Classifier, material: Material, broken: dict[str, Broken]
) -> Iterator[Glimpse]:
    """The frames that are looked at; sequences that cannot be read are added to `broken`, which the
    run lists too.
    """
    for name, clips in frames_to_see(classifier, material).items():
        try:
            reader = material.open[name]()
            for indices in clips:
                yield Glimpse(
                    sequence=name,
                    indices=indices,
                    frames=classifier.shrink(reader.read(list(indices))),
                )
        except BROKEN as error:
            broken[name] = error
