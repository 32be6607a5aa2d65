"""Objects cut out of boxes, and the guards where GrabCut itself ends with an error."""

import numpy as np
import pytest

from densevos_eval.zeroshot.proposals.grabcut import GrabCut

Y, X = np.mgrid[:90, :120]
DISK = (X - 60) ** 2 + (Y - 45) ** 2 <= 20**2
BOX = (36, 21, 48, 48)


def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 20, (90, 120, 3))
    return (np.where(DISK[..., None], (200, 80, 60), (60, 90, 120)) + noise).astype(np.uint8)


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("long_side", [240, 40])
def test_a_coarse_foreground_becomes_the_object(long_side: int) -> None:
    """The foreground is a square in the middle of the disk; the cut finds the rest by colour."""
    foreground = np.where((abs(X - 60) < 10) & (abs(Y - 45) < 10), 0.9, 0.2).astype(np.float32)
    cut = GrabCut(long_side=long_side)(picture(), BOX, foreground)
    assert cut.dtype == bool
    assert iou(cut, DISK) > (0.97 if long_side == 240 else 0.88)
    assert iou(foreground > 0.5, DISK) < 0.4


def test_nothing_lies_outside_of_the_box() -> None:
    foreground = np.where(DISK, 0.9, 0.1).astype(np.float32)
    cut = GrabCut()(picture(), (36, 21, 40, 48), foreground)
    inside = (X >= 36) & (X < 76) & (Y >= 21) & (Y < 69)
    assert cut.any()
    assert not (cut & ~inside).any()


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_too_little_of_either_class_is_not_cut(value: float) -> None:
    """A box over the whole image without any background, or without any likely object."""
    foreground = np.full((90, 120), value, np.float32)
    cut = GrabCut()(picture(), (-5, -5, 300, 300), foreground)
    assert cut.all() if value else not cut.any()


@pytest.mark.parametrize("box", [(10, 10, 0, 5), (130, 10, 20, 20), (5, -30, 10, 20)])
def test_a_box_outside_of_the_image_holds_nothing(box: tuple[int, int, int, int]) -> None:
    assert not GrabCut()(picture(), box, np.ones((90, 120), np.float32)).any()


def test_an_image_of_one_colour_is_no_error() -> None:
    foreground = np.where(DISK, 0.9, 0.1).astype(np.float32)
    cut = GrabCut()(np.full((90, 120, 3), 50, np.uint8), BOX, foreground)
    assert cut.shape == (90, 120)
