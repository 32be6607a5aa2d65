"""YouTube-VOS (2018 and 2019 have the same training videos): short videos with masks of objects.

The training set holds every fifth frame of videos of 30 frames per second: 00000.jpg, 00005.jpg,
... The recipe's gap of 2 therefore equals 10 frames of the original video. For the archive of all
frames, train_all_frames, give its JPEGImages as a folder and train with a gap of 10. Masks, in the
folder Annotations, are never read.
"""

from collections.abc import Iterable
from pathlib import Path

from densevos.data.catalogue.layout import Layout, beside, folders, split_folder


def find(root: Path, split: str) -> Iterable[str]:
    """Find the frame folders in JPEGImages; ROOT may be the folder of the split itself."""
    return folders(root, beside(split_folder(root, split), "JPEGImages/*"))


LAYOUT = Layout(
    name="ytvos",
    title="YouTube-VOS",
    tree="train/JPEGImages/VIDEO/NNNNN.jpg",
    splits=("train", "valid", "test"),
    find=find,
    rate=6,
    gap=2,
    recipe="dul_ytvos",
    address="https://youtube-vos.org/dataset/vos/",
    size="3,471 videos",
    licence="annotations CC BY 4.0; videos belong to those who uploaded them",
)
