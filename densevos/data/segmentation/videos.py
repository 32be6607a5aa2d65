"""Any videos without labels: a folder of frame folders and video files, or a list of them."""

from pathlib import Path

from densevos.data.catalogue import find_videos
from densevos.data.extraction import video_names
from densevos.data.segmentation.sets import SegmentationSet, SetOptions, Shot
from densevos.errors import InputError


def load(root: Path, split: str, options: SetOptions) -> SegmentationSet:
    """Every video below ROOT, or of the list ROOT; there are no splits. See sets.open_set."""
    if options.labels:
        raise InputError(f"videos:{root}: has no labels; pass it as --unlabelled")
    found = find_videos(root)
    shots = tuple(Shot(name=name, source=video) for name, video in zip(video_names(found), found, strict=True))
    return SegmentationSet(name="videos", kind="video", classes=(), shots=shots)
