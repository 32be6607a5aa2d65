"""The sets of an image-to-video run, their domains, and the weights of their classes."""

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
    """Names of the classes; the index is the id."""

    @property
    def target(self) -> tuple[SegmentationSet, ...]:
        """The domain that the discriminator separates from the labelled images."""
        return (*self.videos, *self.unlabelled)

    @property
    def shots(self) -> int:
        """Number of images and videos."""
        return sum(len(opened.shots) for opened in (*self.source, *self.target))

    @property
    def labelled_frames(self) -> int:
        """Number of labelled frames that an epoch takes once each.

        These are the images, or the labelled frames of the videos if there are no images.
        """
        count = 0
        for opened in self.source or self.videos:
            count += sum(len(shot.labelled) for shot in opened.shots)

        return count

    def fingerprint(self) -> str:
        """SHA-256 of classes, sets, their images and videos, and the labelled frames.

        It is the same for two runs if both saw the same list.
        """
        digest = hashlib.sha256("\n".join(self.classes).encode())
        # Tabs and line breaks separate the fields, so that neighbouring values cannot run together.
        for opened in (*self.source, *self.target):
            for shot in opened.shots:
                digest.update(name_bytes(f"{opened.name}\t{shot.name}\t{shot.labelled}\n"))

        return digest.hexdigest()


def open_domains(config: I2VConfig) -> Domains:
    """Open the sets that a configuration names; sets that its loss does not need stay closed.

    Raises:
        InputError: A set cannot be used, or not together with the others.
    """
    options = _options(config)
    labelled = [open_set(spec, config.sets.split, **options) for spec in config.labelled]

    # Unlabelled sets need no labels, so the options that choose classes do not apply to them.
    plain = {**options, "labels": False, "names": None, "wanted": None}
    # Only an adversarial loss uses unlabelled sets; otherwise they are not even looked for.
    needed = config.unlabelled if config.loss != "none" else ()
    unlabelled = [open_set(spec, config.sets.split, **plain) for spec in needed]
    _check_classes(config.labelled, labelled)

    # Every labelled set has the same classes by now, so those of the first stand for all.
    domains = Domains(
        source=tuple(opened for opened in labelled if opened.kind == "images"),
        videos=tuple(opened for opened in labelled if opened.kind == "video"),
        unlabelled=tuple(unlabelled),
        classes=labelled[0].classes,
    )
    _check_domains(config, domains)
    _check_labelled_frames(config, domains)

    # Notes come last: a run that is refused above prints only its error.
    for opened in (*labelled, *unlabelled):
        for note in opened.notes:
            warnings.warn(note, stacklevel=2)

    return domains


def _check_domains(config: I2VConfig, domains: Domains) -> None:
    """Raise InputError if an adversarial loss has only one domain."""
    if config.loss == "none":
        return

    given = f"--loss {config.loss}: {' '.join(config.labelled)}"
    if not domains.source:
        raise InputError(
            f"{given} holds no images to tell domains apart; add a set of images to --labelled"
        )

    if not domains.target:
        raise InputError(f"{given} holds no videos to tell domains apart; give --unlabelled a set")


def _check_labelled_frames(config: I2VConfig, domains: Domains) -> None:
    """Raise InputError if a process has too few labelled frames for BatchNorm in the decoder."""
    # This import loads torch, which a configuration alone must not need.
    from densevos.engine import distributed

    frames = domains.labelled_frames
    ranks = distributed.launched_world_size()
    # A frozen BatchNorm uses fixed statistics, so a single frame does not harm it.
    if frames // ranks >= 2 or config.batchnorm == "frozen":
        return

    holds = f"{' '.join(config.labelled)} holds {frames} labelled frames"
    needs = "BatchNorm in the decoder needs two"
    if ranks > 1:
        holds, needs = f"{holds} for {ranks} processes", f"{needs} in each"

    raise InputError(f"labelled sub-batch of one: {holds}, and {needs}; give more")


def find_class_weights(config: I2VConfig, domains: Domains) -> "Tensor | None":
    """Weights of the classes in the segmentation loss, from labelled frames drawn with the seed.

    Warns if a class of the run does not occur in these frames.

    Args:
        config: The configuration; its `class_weights` chooses the domain that is counted.
        domains: The sets of the run.

    Returns:
        Weights [K], or None for equal weights.

    Raises:
        InputError: Labels are wrong, or the target has no labels to count.
    """
    from densevos.objectives.segmentation import class_weights

    # This count finds absent classes even if weights are equal or come from the target.
    frames, seed = config.weight_frames, config.loop.seed
    pixels = count_pixels(domains.source or domains.target, len(domains.classes), frames, seed)
    counts = zip(domains.classes, pixels.tolist(), strict=True)
    absent = [name for name, count in counts if not count]

    if absent:
        warnings.warn(
            f"{' '.join(config.labelled)}: no labelled image with {', '.join(absent)} among those "
            f"that were counted, at most {frames} of each set (--weight-frames)",
            stacklevel=2,
        )

    # The papers weight classes by the target's labels, which replace the counts of the source.
    if config.class_weights == "target":
        pixels = count_pixels(_with_labels(config, domains), len(domains.classes), frames, seed)

    return None if config.class_weights == "none" else class_weights(pixels)


def count_pixels(sets: Sequence[SegmentationSet], classes: int, most: int, seed: int) -> "Tensor":
    """Count the pixels of each class in labelled frames.

    Args:
        sets: The sets; each counts by itself.
        classes: K, the number of classes.
        most: Number of frames that are drawn from each set.
        seed: Seed of the draws.

    Returns:
        [K] int64.
    """
    import torch

    total = np.zeros(classes, np.int64)
    for opened in sets:
        frames = [(shot, index) for shot in opened.shots for index in shot.labelled]
        # Every set starts from the same seed, so its draw does not depend on the sets before it.
        for number in np.random.default_rng(seed).permutation(len(frames))[:most]:
            shot, index = frames[number]
            # Void pixels (255) are counted beyond the classes, and cut off.
            total += np.bincount(shot.labels(index).ravel(), minlength=256)[:classes]

    return torch.from_numpy(total)


def _with_labels(config: I2VConfig, domains: Domains) -> list[SegmentationSet]:
    """The target's sets with labels, by which the papers weight classes.

    The sets of --unlabelled are opened again, with their labels. These count pixels only.
    """
    options = {**_options(config), "names": None}
    try:
        opened = [open_set(spec, config.sets.split, **options) for spec in config.unlabelled]
    except InputError as error:
        raise InputError(f"--class-weights target: {error}; or choose source or none") from error

    # The target's videos that have labels anyway count as they are.
    for target in domains.target:
        if any(shot.labelled for shot in target.shots):
            opened.append(target)

    # Counts are by class id, so other classes would give wrong weights without a message.
    if any(target.classes != domains.classes for target in opened):
        raise InputError(
            "--class-weights target: the videos have other classes than --labelled; "
            "choose source or none"
        )

    return opened


def _options(config: I2VConfig) -> dict[str, Any]:
    """The options of `open_set`; the split is an argument of its own."""
    options = dataclasses.asdict(config.sets)
    del options["split"]
    return options


def _check_classes(specs: Sequence[str], opened: Sequence[SegmentationSet]) -> None:
    """Raise InputError for a set without labels, or for sets of different classes."""
    classes = opened[0].classes
    for spec, labelled in zip(specs, opened, strict=True):
        if not labelled.classes:
            raise InputError(
                f"--labelled {spec}: has no labels to learn from; give it to --unlabelled"
            )

        if labelled.classes != classes:
            # The same classes in another order are also different, because the index is the id.
            odd = sorted(set(labelled.classes) ^ set(classes)) or ["their order"]
            raise InputError(
                f"--labelled {specs[0]} and {spec} have different classes ({', '.join(odd[:5])}); "
                "name those to learn with --wanted"
            )
