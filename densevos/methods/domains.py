"""The sets of an image-to-video run: what is labelled, what is told apart, and how rare its classes
are.
"""

import dataclasses
import hashlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from densevos.base.errors import InputError
from densevos.base.files import name_bytes
from densevos.config import I2VConfig
from densevos.data.segmentation.segmentation_set import SegmentationSet
from densevos.data.segmentation.sets.registry import open_set

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Domains:
    """The sets of a run."""

    source: tuple[SegmentationSet, ...]
    """Labelled images."""
    videos: tuple[SegmentationSet, ...]
    """Labelled videos."""
    unlabelled: tuple[SegmentationSet, ...]
    """Images and videos without their labels."""
    classes: tuple[str, ...]
    """Names, the index is the id."""

    @property
    def target(self) -> tuple[SegmentationSet, ...]:
        """All that is told apart from the labelled images."""
        return (*self.videos, *self.unlabelled)

    @property
    def shots(self) -> int:
        """Images and videos."""
        return sum(len(each.shots) for each in (*self.source, *self.target))

    @property
    def labelled_frames(self) -> int:
        """Frames that an epoch takes once each: those of the images, or of the videos where there
        are no images.
        """
        return sum(
            len(shot.labelled) for each in (self.source or self.videos) for shot in each.shots
        )

    def fingerprint(self) -> str:
        """SHA-256 over sets, shots and labelled frames: tells whether two runs saw the same
        list.
        """
        digest = hashlib.sha256("\n".join(self.classes).encode())
        for each in (*self.source, *self.target):
            for shot in each.shots:
                digest.update(name_bytes(f"{each.name}\t{shot.name}\t{shot.labelled}\n"))

        return digest.hexdigest()


def open_domains(config: I2VConfig) -> Domains:
    """Open the sets that `config` names; those that its loss does not need stay closed.

    Raises InputError for sets that cannot be used, or not together.
    """
    from densevos.engine import distributed

    options = _options(config)
    labelled = [open_set(spec, config.sets.split, **options) for spec in config.labelled]
    plain = {**options, "labels": False, "names": None, "wanted": None}
    needed = config.unlabelled if config.loss != "none" else ()
    unlabelled = [open_set(spec, config.sets.split, **plain) for spec in needed]
    _check_classes(config.labelled, labelled)
    domains = Domains(
        source=tuple(each for each in labelled if each.kind == "images"),
        videos=tuple(each for each in labelled if each.kind == "video"),
        unlabelled=tuple(unlabelled),
        classes=labelled[0].classes,
    )
    source = domains.source

    if config.loss != "none" and not (source and domains.target):
        lacking = "images" if not source else "videos"
        raise InputError(
            f"--loss {config.loss}: {' '.join(config.labelled)} holds no {lacking} to tell domains apart; "
            f"{'add a set of images to --labelled' if not source else 'give --unlabelled a set'}"
        )

    frames = domains.labelled_frames
    ranks = distributed.launched_world_size()
    if frames // ranks < 2 and config.batchnorm != "frozen":
        shared = f" for {ranks} processes" if ranks > 1 else ""
        raise InputError(
            f"labelled sub-batch of one: {' '.join(config.labelled)} holds {frames} labelled frames{shared}, and "
            f"BatchNorm in the decoder needs two{' in each' if shared else ''}; give more"
        )

    for note in [note for each in (*labelled, *unlabelled) for note in each.notes]:
        warnings.warn(note, stacklevel=2)

    return domains


def find_class_weights(config: I2VConfig, domains: Domains) -> "Tensor | None":
    """Weights [K] by the configuration's choice, from labelled frames drawn with its seed; None for
    equal ones.

    Warns when none of these frames shows a class of the run. Raises InputError for labels that are
    wrong.
    """
    from densevos.objectives.segmentation import class_weights

    frames, seed = config.weight_frames, config.loop.seed
    pixels = count_pixels(domains.source or domains.target, len(domains.classes), frames, seed)
    absent = [
        name for name, count in zip(domains.classes, pixels.tolist(), strict=True) if not count
    ]

    if absent:
        warnings.warn(
            f"{' '.join(config.labelled)}: no labelled image with {', '.join(absent)} among those that were looked at, "
            f"at most {frames} of each set (--weight-frames)",
            stacklevel=2,
        )

    if config.class_weights == "target":
        pixels = count_pixels(_with_labels(config, domains), len(domains.classes), frames, seed)

    return None if config.class_weights == "none" else class_weights(pixels)


def count_pixels(sets: Sequence[SegmentationSet], classes: int, most: int, seed: int) -> "Tensor":
    """Pixels [K] of each class in at most `most` labelled frames of each set."""
    import torch

    total = np.zeros(classes, np.int64)
    for each in sets:
        frames = [(shot, index) for shot in each.shots for index in shot.labelled]
        for number in np.random.default_rng(seed).permutation(len(frames))[:most]:
            shot, index = frames[number]
            total += np.bincount(shot.labels(index).ravel(), minlength=256)[:classes]

    return torch.from_numpy(total)


def _with_labels(config: I2VConfig, domains: Domains) -> list[SegmentationSet]:
    """The target's sets with labels, unlabelled ones too: what the papers weigh classes by."""
    options = {**_options(config), "names": None}
    try:
        opened = [open_set(spec, config.sets.split, **options) for spec in config.unlabelled]
    except InputError as error:
        raise InputError(f"--class-weights target: {error}; or choose source or none") from error

    opened += [each for each in domains.target if any(shot.labelled for shot in each.shots)]
    if any(each.classes != domains.classes for each in opened):
        raise InputError(
            "--class-weights target: the videos have other classes than --labelled; choose source or none"
        )

    return opened


def _options(config: I2VConfig) -> dict[str, Any]:
    return {
        name: value for name, value in dataclasses.asdict(config.sets).items() if name != "split"
    }


def _check_classes(specs: Sequence[str], opened: Sequence[SegmentationSet]) -> None:
    first = opened[0]
    for spec, each in zip(specs, opened, strict=True):
        if not each.classes:
            raise InputError(
                f"--labelled {spec}: has no labels to learn from; give it to --unlabelled"
            )

        if each.classes != first.classes:
            odd = sorted(set(each.classes) ^ set(first.classes)) or ["their order"]
            raise InputError(
                f"--labelled {specs[0]} and {spec} have different classes ({', '.join(odd[:5])}); "
                "name those to learn with --wanted"
            )
