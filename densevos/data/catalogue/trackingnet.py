"""TrackingNet: 30,132 videos for tracking, from YouTube-BoundingBoxes, in twelve chunks for
training and one to test.

The frames of a video are numbered without padding: 0.jpg, 1.jpg, ..., 10.jpg. They are read by
number. The archives of single videos (zips) are to be unpacked to frames/VIDEO. Frames are those of
the video, 30 per second for most.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout, folders

CHUNKS = {"train": "TRAIN_*", "test": "TEST"}


def find(root: Path, split: str) -> Iterable[str]:
    """Folders of frames of all chunks that are there."""
    return folders(root, f"{CHUNKS[split]}/frames/*")


LAYOUT = Layout(
    name="trackingnet",
    title="TrackingNet",
    tree="TRAIN_K/frames/VIDEO/N.jpg",
    splits=("train", "test"),
    find=find,
    rate=30,
    gap=10,
    recipe="dul_trackingnet",
    address="https://github.com/SilvioGiancola/TrackingNet-devkit",
    size="30,132 videos, 14 million frames; about 1.1 TB",
    licence="for research; videos belong to those who uploaded them",
)
