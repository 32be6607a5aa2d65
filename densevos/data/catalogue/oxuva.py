"""OxUvA: long videos for tracking, from YouTube-BoundingBoxes.

The papers train on all 366 tracks. Some tracks share a video, and the frames of a video lie in one
folder, so there are fewer folders: the dataset's paper counts 337 videos. Frames are numbered as in
the video, at its full rate, mostly 30 frames per second. Frames between annotated parts may be
missing. The frames before and after such a gap count as neighbours, as in the lists of DUL's
authors.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout, folders


def find(root: Path, split: str) -> Iterable[str]:
    """Find the frame folders of dev, test or both."""
    parts = ("dev", "test") if split == "all" else (split,)
    # ROOT may be the folder `images` itself.
    base = "images/" if (root / "images").is_dir() else ""

    paths: list[str] = []
    for part in parts:
        paths += folders(root, f"{base}{part}/*")

    return paths


LAYOUT = Layout(
    name="oxuva",
    title="OxUvA",
    tree="images/dev/VIDEO/NNNNNN.jpeg",
    splits=("all", "dev", "test"),
    find=find,
    rate=30,
    gap=10,
    recipe="dul_oxuva",
    address="https://github.com/oxuva/long-term-tracking-benchmark"
    " (images_dev.tar and images_test.tar, after a form)",
    size="366 tracks, 14 hours, 1.55 million frames",
    licence="for research; videos belong to those who uploaded them",
)
