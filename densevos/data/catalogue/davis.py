"""DAVIS 2017, train and val: 90 short videos of 24 frames per second with masks of objects.

ImageSets/2017/SPLIT.txt lists the sequences of a split. Masks, in the folder Annotations, are never
read. DAVIS is a benchmark: do not score a network on videos that it was trained on.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.text import read_list
from densevos.data.catalogue.layout import Layout, folders

FRAMES = "JPEGImages/480p"


def find(root: Path, split: str) -> Iterable[str]:
    """Find the frame folders at 480p of a split, or of all sequences.

    Raises:
        InputError: The file that lists the split is missing.
    """
    paths = list(folders(root, f"{FRAMES}/*"))
    if split == "all" or not paths:
        return paths

    split_file = root / "ImageSets" / "2017" / f"{split}.txt"
    if not split_file.is_file():
        raise InputError(f"{split_file}: file is missing; unpack it too, or take --split all")

    names = set(read_list(split_file, "it holds one name of a sequence a line"))
    return [path for path in paths if path.rpartition("/")[2] in names]


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
