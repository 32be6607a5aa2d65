"""DAVIS 2017, train and val: 90 short videos of 24 frames per second with masks of objects.

The sequences of a split are those that ImageSets/2017/SPLIT.txt lists. Masks, in the folder
Annotations, are never read. It is a benchmark: train on it only what is not scored on it.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.text import read_list
from densevos.data.catalogue.layout import Layout, folders

FRAMES = "JPEGImages/480p"


def find(root: Path, split: str) -> Iterable[str]:
    """Folders of frames at 480p that the split lists, or all there are."""
    found = list(folders(root, f"{FRAMES}/*"))
    if split == "all" or not found:
        return found

    listed = root / "ImageSets" / "2017" / f"{split}.txt"
    if not listed.is_file():
        raise InputError(f"{listed}: is not there; unpack it too, or take --split all")

    wanted = set(read_list(listed, "it holds one name of a sequence a line"))
    return [path for path in found if path.rpartition("/")[2] in wanted]


LAYOUT = Layout(
    name="davis",
    title="DAVIS 2017",
    tree="JPEGImages/480p/SEQUENCE/NNNNN.jpg",
    splits=("train", "val", "all"),
    find=find,
    rate=24,
    gap=None,
    recipe=None,
    address="https://davischallenge.org/davis2017/code.html",
    size="60 videos; about 0.8 GB at 480p",
    licence="see its page",
)
