"""OxUvA: long videos for tracking, from YouTube-BoundingBoxes.

The papers train on all 366 tracks. Some tracks share a video, and a video's images lie in one
folder, so that there are fewer folders: the set's paper counts 337 videos. Their frames are
numbered as in the video, at its full rate, which is 30 frames per second for most; parts between
annotated stretches may be missing. Frames on both sides of such a hole count as neighbours here, as
in the lists of DUL's release.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout, folders


def find(root: Path, split: str) -> Iterable[str]:
    """Folders of frames of the two parts that are distributed, dev and test."""
    parts = ("dev", "test") if split == "all" else (split,)
    base = "images/" if (root / "images").is_dir() else ""  # or ROOT is the folder images
    return [path for part in parts for path in folders(root, f"{base}{part}/*")]


LAYOUT = Layout(
    name="oxuva",
    title="OxUvA",
    tree="images/dev/VIDEO/NNNNNN.jpeg",
    splits=("all", "dev", "test"),
    find=find,
    rate=30,
    gap=10,
    recipe="dul_oxuva",
    address="https://github.com/oxuva/long-term-tracking-benchmark (images_dev.tar and images_test.tar, after a form)",
    size="366 tracks, 14 hours, 1.55 million frames",
    licence="for research; videos belong to those who uploaded them",
)
