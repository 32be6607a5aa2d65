"""LaSOT: 1,400 long videos of 70 classes for tracking, 30 frames per second.

The file testing_set.txt of the evaluation toolkit lists the 280 test videos, one name per line. The
splits train and test need that file in ROOT; the split `all` does not.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.text import read_list
from densevos.data.catalogue.layout import Layout, folders

TEST_LIST = "testing_set.txt"
HINT = f"put {TEST_LIST} of LaSOT's evaluation toolkit there, or take --split all"


def find(root: Path, split: str) -> Iterable[str]:
    """Find the frame folders, called img, of a split.

    Raises:
        InputError: The file that lists the test videos is missing.
    """
    paths = list(folders(root, "*/*/img"))
    if split == "all":
        return paths
    if not (root / TEST_LIST).is_file():
        raise InputError(f"{root / TEST_LIST}: file is missing; {HINT}")

    test_videos = set(read_list(root / TEST_LIST, HINT))
    chosen = []
    for path in paths:
        video = path.split("/")[-2]
        if (video in test_videos) == (split == "test"):
            chosen.append(path)

    return chosen


LAYOUT = Layout(
    name="lasot",
    title="LaSOT",
    tree="CLASS/CLASS-N/img/NNNNNNNN.jpg",
    splits=("all", "train", "test"),
    find=find,
    rate=30,
    gap=None,
    recipe=None,
    address="https://vision.cs.stonybrook.edu/~lasot/",
    size="1,400 videos, 3.5 million frames; about 230 GB",
    licence="see its page",
)
