"""Kinetics-700, edition of 2020: the layout of Kinetics-400 with more classes.

The CVDF distributes both editions of Kinetics-700 together. We do not know its size on disk.
"""

from densevos.data.catalogue.kinetics400 import find
from densevos.data.catalogue.layout import Layout

LAYOUT = Layout(
    name="kinetics700",
    title="Kinetics-700 (2020)",
    tree="train/CLASS/ID_START_END.mp4",
    splits=("train", "val", "test"),
    find=find,
    rate=None,
    gap=10,
    recipe="dul_kinetics",
    address="https://github.com/cvdfoundation/kinetics-dataset",
    size="about 545,000 videos",
    licence="annotations CC BY 4.0; videos belong to those who uploaded them",
)
