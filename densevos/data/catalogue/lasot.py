"""LaSOT: 1,400 long videos of 70 classes for tracking, 30 frames per second.

Which 280 of them are for tests is told by testing_set.txt of the evaluation toolkit, one name a
line. Put that file into ROOT for the splits train and test; `all` does without.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.base.errors import InputError
from densevos.base.text import read_list
from densevos.data.catalogue.layout import Layout, folders

TEST_LIST = "testing_set.txt"
HINT = f"put {TEST_LIST} of LaSOT's evaluation toolkit there, or take --split all"


def find(root: Path, split: str) -> Iterable[str]:
    """The folders img of the videos."""
    found = list(folders(root, "*/*/img"))
    if split == "all":
        return found
    if not (root / TEST_LIST).is_file():
        raise InputError(f"{root / TEST_LIST}: is not there; {HINT}")

    for_tests = set(read_list(root / TEST_LIST, HINT))
    return [path for path in found if (path.split("/")[-2] in for_tests) == (split == "test")]


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
