"""TrackingNet: 30,132 videos for tracking, from YouTube-BoundingBoxes.

There are twelve chunks for training and one for testing. The frames of a video are numbered without
padding: 0.jpg, 1.jpg, ..., 10.jpg; they are sorted by number. Unpack the archives of single videos
(zips) to frames/VIDEO. Frames have the rate of the video, mostly 30 per second.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout, folders

CHUNKS = {"train": "TRAIN_*", "test": "TEST"}


def find(root: Path, split: str) -> Iterable[str]:
    """Find the frame folders of all chunks that exist."""
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
