"""Any videos without labels: a folder of frame folders and video files, or a list of them."""

from pathlib import Path

from densevos.base.errors import InputError
from densevos.data.extraction import video_names
from densevos.data.segmentation.segmentation_set import SegmentationSet, SetReading, Shot
from densevos.data.sources.catalogue import find_videos


def load(root: Path, options: SetReading) -> SegmentationSet:
    """Every video below ROOT, or of the list ROOT; there are no splits. See registry.open_set."""
    if options.labels:
        raise InputError(f"videos:{root}: has no labels; pass it as --unlabelled")
    found = find_videos(root)
    shots = tuple(Shot(name=name, source=video) for name, video in zip(video_names(found), found, strict=True))
    return SegmentationSet(name="videos", kind="video", classes=(), shots=shots)
