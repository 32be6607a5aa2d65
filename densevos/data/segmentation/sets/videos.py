"""Any videos without labels: a folder of frame folders and video files, or a list of them."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot
from densevos.data.sources.open import open_paths


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Every video below ROOT, or of the list ROOT; there are no splits. See registry.open_set."""
    if options.labels:
        raise InputError(f"videos:{root}: has no labels; pass it as --unlabelled")

    found = open_paths(root)
    shots = tuple(
        Shot(name=name, source=video) for name, video in zip(found.names, found.videos, strict=True)
    )

    return SegmentationSet(name="videos", kind="video", classes=(), shots=shots)
