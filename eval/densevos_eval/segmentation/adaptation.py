"""Estimates a network's BatchNorm statistics on the frames that it is about to segment, or on
others of their domain (AdaBN).

This trains nothing and reads no label. It is the baseline of every domain adaptation.
"""

# Shapes: T frames of a clip, h x w pixels at the size that the network sees, C channels of a layer.

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from densevos.base.errors import InputError, RunError
from densevos.base.files import name_bytes
from densevos.base.parallel import BROKEN, Broken, OnStep
from densevos.data.segmentation.segmentation_set import SegmentationSet
from densevos.data.segmentation.sets.registry import open_set, parse_spec
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
    sha256: hash of the names and pixels of these frames.
    layers: what the names of the layers begin with; empty: all layers.
    source: the set that these frames are of, SET:ROOT; None: they are those to segment.
    left_out: the errors of sequences that could not be read.
    """

    values: Mapping[str, np.ndarray]
    frames: int
    sha256: str
    layers: tuple[str, ...] = ()
    source: str | None = None
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        # The hash tells which frames: their folder may move before a run is resumed.
        frames = "frames" if self.source is None else "other frames"
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
    *,
    layers: Sequence[str] = (),
    source: str | None = None,
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
        source: the set that `material` was read from, SET:ROOT; None: it is to be segmented itself.

    Returns:
        The statistics of those BatchNorm layers that see more than one value per channel and frame.

    Raises:
        InputError: if the network has no BatchNorm, or none in one of `layers`.
        InputError, RunError: if nothing can be read.
        RunError: if the device's memory is too short for a batch.
    """
    check_layers(classifier, layers)

    # A copy: sequences that fail here are also reported by the run, which reads them again.
    broken = dict(material.broken)
    glimpses = list(_glimpses(classifier, material, broken))
    if not glimpses:
        # The cause is probably common, and the error of the first one says it.
        first = next(iter(broken.values()))
        option = "--adapt-statistics" if source is None else f"--adapt-from {source}"
        raise type(first)(f"{option}: no frame can be read: {first}")

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

    return Statistics(
        values=estimate_statistics(classifier.network, show, batches, layers),
        frames=sum(len(glimpse.indices) for glimpse in glimpses),
        sha256=_hash(glimpses),
        layers=tuple(layers),
        source=source,
        left_out=tuple(str(error) for error in broken.values()),
    )


def _hash(glimpses: Iterable[Glimpse]) -> str:
    """The hash of names and pixels; it does not depend on how glimpses are grouped into batches."""
    digest = hashlib.sha256()
    for glimpse in sorted(glimpses, key=lambda glimpse: (glimpse.sequence, glimpse.indices)):
        digest.update(name_bytes(f"\n{glimpse.sequence} {glimpse.indices} "))
        # Frames of two sets often have the same names, such as sharp ones and degraded copies.
        digest.update(np.ascontiguousarray(glimpse.frames).tobytes())

    return digest.hexdigest()


def other_input(spec: str, *, out: Path, clip_frames: int = 1) -> SegmentationInput:
    """The frames of an unlabelled set, for statistics of other frames than those to segment.

    Args:
        spec: the set as SET:ROOT, as it is given to training. Its split train is read, and only as
            many of its images and videos, evenly spread, as can be looked at.
        out: folder that masks will be written to, or that will be emptied.
        clip_frames: number of frames that the network sees together.

    Raises:
        InputError: if there is no such set, or it is empty, or it and `out` lie in each other.
    """
    try:
        dataset = open_set(spec, "train", labels=False)
    except InputError as error:
        raise InputError(f"--adapt-from {error}") from error

    _check_apart(spec, dataset, out.resolve())

    # One clip of each of so many videos is enough, so that the others need not be opened.
    most = max(1, FRAMES // clip_frames)
    shots = [dataset.shots[place] for place in spread(len(dataset.shots), most)]
    return replace(input_of(shots, labelled=False), notes=dataset.notes)


def _check_apart(spec: str, dataset: SegmentationSet, out: Path) -> None:
    """Check that a run into `out` neither deletes frames of the set nor adds to them."""
    folders: set[Path] = set()
    for shot in dataset.shots:
        source = shot.source.resolve()
        folders.add(source.parent)
        if source.is_relative_to(out):
            raise InputError(
                f"--adapt-from {spec}: {shot.source} lies in the output folder {out};"
                " choose another --out"
            )

    # A folder of masks beside the videos would be one of them. Of `videos`, every folder of images
    # below ROOT is one; but a list names its videos.
    _, root = parse_spec(spec)
    if dataset.name == "videos":
        folders = {root.resolve()} if root.is_dir() else set()

    if any(out.is_relative_to(folder) for folder in folders):
        raise InputError(
            f"--adapt-from {spec}: masks in {out} would be read as its frames the next time;"
            " choose an --out elsewhere"
        )


def check_layers(classifier: Classifier, layers: Sequence[str]) -> None:
    """Check that there is BatchNorm in the network, and in each of `layers`.

    Raises:
        InputError: if there is none.
    """
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
    # Evenly over all clips of the input, so that long sequences count more than short ones. They
    # are gone through twice, because a list of all of them could be larger than the memory.
    count = sum(1 for _ in _clips(classifier, material))
    places = set(spread(count, max(1, FRAMES // classifier.network.clip_frames)))
    chosen: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for place, (name, indices) in enumerate(_clips(classifier, material)):
        if place in places:
            chosen[name].append(indices)

    return chosen


def _clips(
    classifier: Classifier, material: SegmentationInput
) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names of sequences, and the indices of each of their clips, or frames of a 2D network."""
    clip = classifier.network.clip_frames
    for sequence in material.sequences:
        if sequence.name in material.broken:
            continue

        count = len(sequence.frame_names)
        # One clip at a time, or one frame of a 2D network.
        for frames, _ in groups(count, clip, _wanted(sequence), gap=classifier.gap, batch=1):
            yield sequence.name, tuple(frames)


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
