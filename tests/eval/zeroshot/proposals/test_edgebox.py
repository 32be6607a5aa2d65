"""Boxes around drawn objects."""

import numpy as np

from densevos_eval.zeroshot.proposals.edge_map import gradient_edges, orientation, thinned
from densevos_eval.zeroshot.proposals.edgebox import (
    EdgeBoxes,
    ScoredBox,
    box_iou,
    edge_boxes,
    suppressed,
)
from densevos_eval.zeroshot.proposals.overlap import pairwise_iou

Y, X = np.mgrid[:240, :320]
LEFT = (X >= 40) & (X < 120) & (Y >= 60) & (Y < 180)
RIGHT = (X - 230) ** 2 + (Y - 120) ** 2 <= 50**2


def picture() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 12, (240, 320, 3))
    colours = np.where(
        LEFT[..., None], (200, 60, 40), np.where(RIGHT[..., None], (40, 90, 210), (70, 110, 70))
    )
    return (colours + noise).astype(np.uint8)


def likely(*objects: np.ndarray) -> np.ndarray:
    return np.where(np.any(objects, axis=0), 0.8, 0.1).astype(np.float32)


def test_the_best_box_is_that_of_a_rectangle() -> None:
    frame = np.zeros((120, 160, 3), np.uint8)
    frame[30:90, 40:110] = 200
    edges = gradient_edges(frame)
    angle = orientation(edges)
    boxes = edge_boxes(thinned(edges, angle), angle, 30)
    assert len(boxes) <= 30
    assert [one.score for one in boxes] == sorted((one.score for one in boxes), reverse=True)
    assert all(0 < one.score <= 1 for one in boxes)
    assert box_iou(boxes[0].box, (40, 30, 70, 60)) > 0.7


def test_objects_are_found_and_cut_out() -> None:
    proposals = EdgeBoxes()(picture(), likely(LEFT, RIGHT))
    iou = pairwise_iou(np.stack([LEFT, RIGHT]), np.stack([proposal.mask for proposal in proposals]))
    assert (iou.max(axis=1) > 0.9).all()
    assert [one.score for one in proposals] == sorted(
        (one.score for one in proposals), reverse=True
    )
    assert all(0 < one.score <= 1 for one in proposals)


def test_boxes_of_the_background_are_left_out() -> None:
    for proposal in EdgeBoxes()(picture(), likely(LEFT)):
        assert (proposal.mask & LEFT).sum() > 0.3 * proposal.mask.sum()


def test_the_same_frame_has_the_same_proposals() -> None:
    first, again = (EdgeBoxes()(picture(), likely(LEFT, RIGHT)) for _ in range(2))
    assert [one.score for one in first] == [one.score for one in again]
    np.testing.assert_array_equal([one.mask for one in first], [one.mask for one in again])


def test_frames_without_foreground_without_edges_and_tiny_ones_have_none() -> None:
    assert EdgeBoxes()(picture(), likely(np.zeros_like(LEFT))) == []
    assert EdgeBoxes()(np.full((240, 320, 3), 90, np.uint8), likely(LEFT)) == []
    assert EdgeBoxes()(picture()[:8, :8], np.ones((8, 8), np.float32)) == []


def test_boxes_that_overlap_are_suppressed_by_score() -> None:
    boxes = [
        ScoredBox(box=(0, 0, 10, 10), score=0.3),
        ScoredBox(box=(2, 0, 10, 10), score=0.5),  # IoU 80/120
        ScoredBox(box=(20, 0, 10, 10), score=0.1),
    ]
    assert [one.score for one in suppressed(boxes, 0.6)] == [0.5, 0.1]
    assert [one.score for one in suppressed(boxes, 0.7)] == [0.5, 0.3, 0.1]
    assert box_iou((0, 0, 10, 10), (2, 0, 10, 10)) == 80 / 120
    assert box_iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
