"""Proposals that are the connected parts of classes."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.models.segmentation.base import SegmentationNetwork
from densevos_eval.segmentation.classifier import Classifier
from densevos_eval.zeroshot.proposals.segments import Segments

HEIGHT, WIDTH = 64, 96


class ByColour(SegmentationNetwork):
    """The class of a pixel is its strongest colour."""

    head_name = ""

    def __init__(self, clip_frames: int):
        super().__init__(3, {"stage4": (3, 32)})
        self.clip_frames = clip_frames

    def encode(self, frames: Tensor) -> dict[str, Tensor]:
        return {"global": F.avg_pool2d(frames.flatten(0, 1), 4).unflatten(0, frames.shape[:2])}

    def decode_frames(self, features: Mapping[str, Tensor]) -> Tensor:
        return features["global"]


def segments(*classes: str, clip_frames: int = 1) -> Segments:
    torch.set_num_threads(1)
    return Segments(
        classifier=Classifier(ByColour(clip_frames), classes, HEIGHT, torch.device("cpu"))
    )


def picture() -> np.ndarray:
    """Red ground with two green rectangles and a blue one."""
    frame = np.full((HEIGHT, WIDTH, 3), (230, 10, 10), np.uint8)
    frame[8:24, 8:40] = frame[32:48, 8:24] = (10, 230, 10)
    frame[32:56, 48:80] = (10, 10, 230)
    return frame


@pytest.mark.parametrize("clip_frames", [1, 3])
def test_every_part_of_every_class_but_the_background_is_a_proposal(clip_frames: int) -> None:
    frame = picture()
    found = segments("background", "cat", "dog", clip_frames=clip_frames)(
        frame, np.zeros((HEIGHT, WIDTH), np.float32)
    )
    expected = [np.zeros((HEIGHT, WIDTH), bool) for _ in range(3)]
    expected[0][8:24, 8:40] = expected[1][32:48, 8:24] = expected[2][32:56, 48:80] = True
    assert len(found) == 3
    for proposal, mask in zip(found, expected, strict=True):
        assert (proposal.mask != mask).mean() < 0.01  # cells of 4 pixels are enlarged smoothly
        assert 0.7 < proposal.score <= 1


def test_classes_without_background_are_all_objects() -> None:
    found = segments("sky", "cat", "dog")(picture(), np.zeros((HEIGHT, WIDTH), np.float32))
    assert len(found) == 4


def test_background_alone_and_small_parts_make_no_proposals() -> None:
    red = np.full((HEIGHT, WIDTH, 3), (230, 10, 10), np.uint8)
    source = segments("background", "cat", "dog")
    assert source(red, np.zeros((HEIGHT, WIDTH), np.float32)) == []
    large = Segments(classifier=source.classifier, smallest=0.1)
    assert len(large(picture(), np.zeros((HEIGHT, WIDTH), np.float32))) == 1
