"""Any folder: every frame folder and video file below it, found as by --data."""

import warnings
from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout
from densevos.data.sources.folder_tree import folder_tree


def find(root: Path, split: str) -> Iterable[str]:
    """Find videos by the rules of `folder_tree`, and warn about files that are left out."""
    tree = folder_tree(root)
    for note in tree.notes:
        warnings.warn(note, stacklevel=2)

    return [video.relative_to(root).as_posix() for video in tree.videos]


LAYOUT = Layout(
    name="folder",
    title="a folder of videos",
    tree="ANY/FOLDERS/VIDEO.mp4 or ANY/FOLDERS/VIDEO/FRAME.jpg",
    splits=("all",),
    find=find,
    rate=None,
    gap=None,
    recipe=None,
    address="yours",
    size="any",
    licence="yours",
)
