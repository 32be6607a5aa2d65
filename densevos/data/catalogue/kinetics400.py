"""Kinetics-400: clips of about ten seconds of human actions, cut from YouTube.

The copy of the CVDF unpacks to ROOT/SPLIT/ID_START_END.mp4. Many programs want the files sorted by
class, one folder deeper. Both layouts are found. Clips of the archive of replacements are found if
they lie below the folder of the split. Videos have the frame rate of their upload, mostly 25 to 30
frames per second.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout, files, split_folder


def find(root: Path, split: str) -> Iterable[str]:
    """Find every video file below the folder of the split."""
    return files(root, split_folder(root, split))


LAYOUT = Layout(
    name="kinetics400",
    title="Kinetics-400",
    tree="train/CLASS/ID_START_END.mp4",
    splits=("train", "val", "test"),
    find=find,
    rate=None,
    gap=10,
    recipe="dul_kinetics",
    address="https://github.com/cvdfoundation/kinetics-dataset",
    size="about 240,000 videos; all splits about 450 GB",
    licence="annotations CC BY 4.0; videos belong to those who uploaded them",
)
