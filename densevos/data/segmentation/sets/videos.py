"""Videos without labels: a folder of frame folders and video files, or a list of them."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot
from densevos.data.sources.open import open_paths


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Load every video below the folder ROOT or of the list ROOT; see registry.open_set.

    Args:
        root: Folder, or text file with one video on each line.
        options: How the set is read; its split is ignored.

    Raises:
        InputError: Labels are wanted, or no video can be read.
    """
    if options.labels:
        raise InputError(f"videos:{root}: has no labels; pass it as --unlabelled")

    opened = open_paths(root)
    shots: list[Shot] = []
    for name, video in zip(opened.names, opened.videos, strict=True):
        shots.append(Shot(name=name, source=video))

    return SegmentationSet(name="videos", kind="video", classes=(), shots=tuple(shots))
