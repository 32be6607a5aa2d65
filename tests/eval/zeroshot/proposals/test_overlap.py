"""Overlap of masks, against the definition."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from densevos_eval.zeroshot.proposals import overlap
from densevos_eval.zeroshot.proposals.overlap import non_overlapping, pairwise_iou, stacked


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 1000))
def test_iou_is_that_of_the_definition(n: int, m: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    first, second = rng.random((n, 5, 7)) > 0.6, rng.random((m, 5, 7)) > 0.8
    iou = pairwise_iou(first, second)
    assert iou.shape == (n, m)
    for row in range(n):
        for column in range(m):
            union = (first[row] | second[column]).sum()
            expected = (first[row] & second[column]).sum() / union if union else 0
            assert np.isclose(iou[row, column], expected)


def test_iou_is_the_same_in_blocks_of_any_size(monkeypatch) -> None:
    masks = np.random.default_rng(0).random((4, 5, 7)) > 0.6
    at_once = pairwise_iou(masks, masks)
    for pixels in (1, 6, 34, 35):
        monkeypatch.setattr(overlap, "BLOCK", pixels)
        assert (pairwise_iou(masks, masks) == at_once).all()


def test_the_higher_score_stays() -> None:
    masks = np.zeros((3, 1, 10), bool)
    masks[0, :, :4] = masks[1, :, 1:5] = masks[2, :, 4:] = True  # IoU .6, 0 and .11
    assert non_overlapping(masks, np.array([0.2, 0.9, 0.5]), 0.5) == [1, 2]
    assert non_overlapping(masks, np.array([0.2, 0.9, 0.5]), 0.6) == [1, 2, 0]
    assert non_overlapping(masks, np.array([0.2, 0.9, 0.5]), 0.1) == [1]
    assert non_overlapping(masks, np.array([0.5, 0.5, 0.5]), 0.5) == [0, 2]


def test_no_masks_are_a_stack_too() -> None:
    assert stacked([], (2, 3)).shape == (0, 2, 3)
    assert non_overlapping(stacked([], (2, 3)), np.zeros(0), 0.5) == []
