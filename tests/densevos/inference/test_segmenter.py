"""The segmenter averages over mirror images and sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch

from densevos.config import EncoderConfig
from densevos.data.sources.source import FrameReader
from densevos.data.sources.video import open_frames
from densevos.inference.segmenter import Segmenter, View
from densevos.models.mug import MugNetwork

SMALL = EncoderConfig(
    architecture="resnet18", stride=8, last="res3", channels=24, key_channels=8, head="linear"
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def network() -> MugNetwork:
    """An untrained network whose masks differ from place to place."""
    torch.manual_seed(0)
    network = MugNetwork(SMALL, "fine", 0.07).eval()
    torch.nn.init.normal_(network.nu.head.weight)  # type: ignore[union-attr, arg-type]
    return network


class Frames:
    """A reader of frames in memory, mirrored or not."""

    def __init__(self, reader: FrameReader, *, mirrored: bool):
        frames = reader.read(range(len(reader)))
        self.path, self.names = reader.path, reader.names
        self.frames = np.ascontiguousarray(frames[:, :, ::-1]) if mirrored else frames

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, indices: list[int]) -> np.ndarray:
        """Frames by index."""
        return np.asarray(self.frames[list(indices)])


def test_views_have_whole_cells_at_every_size(network: MugNetwork) -> None:
    assert Segmenter(network, 96, 4, CPU).views == [View(96, False)]
    both = Segmenter(network, 96, 4, CPU, flip=True, scales=(1, 1.3))
    assert both.views == [View(96, False), View(96, True), View(128, False), View(128, True)]


def test_with_flip_a_mirrored_video_has_mirrored_masks(network: MugNetwork, videos: Path) -> None:
    reader = open_frames(sorted(videos.iterdir())[0])
    plain, mirrored = Frames(reader, mirrored=False), Frames(reader, mirrored=True)
    once = Segmenter(network, 96, 4, CPU)
    assert (
        np.abs(np.array(list(once(plain))) - np.array(list(once(mirrored)))[:, :, ::-1]).max()
        > 1e-3
    )
    twice = Segmenter(network, 96, 4, CPU, flip=True)
    np.testing.assert_allclose(
        list(twice(plain)), np.array(list(twice(mirrored)))[:, :, ::-1], atol=1e-5
    )


def test_probabilities_of_sizes_are_averaged(network: MugNetwork, videos: Path) -> None:
    reader = open_frames(sorted(videos.iterdir())[0])
    alone = [
        np.array(list(Segmenter(network, 96, 4, CPU, scales=(scale,))(reader)))
        for scale in (1, 1.5)
    ]
    together = np.array(list(Segmenter(network, 96, 4, CPU, scales=(1, 1.5))(reader)))
    assert together.shape == (9, 40, 56)
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-6)
