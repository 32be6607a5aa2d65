"""Proposals without learning: EdgeBoxes finds boxes, and GrabCut the object in each box.

EdgeBoxes (Zitnick and Dollar, ECCV 2014) ranks boxes by the contours that lie completely inside
them. The implementation is that of OpenCV.
"""

# Shapes: H x W pixels of a frame. Boxes are left, top, width, height in pixels.

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from densevos_eval.zeroshot.proposals.edge_map import EdgeMap, gradient_edges, orientation, thinned
from densevos_eval.zeroshot.proposals.grabcut import Box, GrabCut
from densevos_eval.zeroshot.proposals.proposal import Proposal

SMALLEST_SIDE = 16
"""Shortest side of an image in which boxes are searched for, in pixels."""


@dataclass(frozen=True, kw_only=True)
class ScoredBox:
    """A box, with the score of EdgeBoxes (0..1) for that it holds an object."""

    box: Box
    score: float


@dataclass(frozen=True, kw_only=True)
class EdgeBoxes:
    """A `ProposalSource` of the objects in the boxes that lie in the foreground."""

    edges: EdgeMap = gradient_edges
    """Strength of the edges of a frame."""
    short_side: int = 180
    """Short side that frames are scaled to for EdgeBoxes, in pixels; smaller frames keep their
    size."""
    most_boxes: int = 200
    """Largest number of boxes that EdgeBoxes returns."""
    threshold: float = 0.5
    """Foreground threshold on the probability."""
    filled: float = 0.3
    """Smallest share of a box that must be foreground."""
    covered: float = 0.05
    """Smallest share of the whole foreground that a box must hold."""
    most_overlap: float = 0.7
    """Highest IoU of two boxes; of two that overlap more, the one with the higher score is kept."""
    most_cut: int = 8
    """Largest number of boxes that are cut: those with the highest scores."""
    cut: GrabCut = field(default_factory=GrabCut)
    """Cuts the object out of a box."""

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """Find the objects of one frame.

        Args:
            frame: RGB [H,W,3] uint8.
            foreground: probability of foreground [H,W] float32.

        Returns:
            The objects, highest score first; none without foreground.
        """
        mask = foreground >= self.threshold
        if not mask.any():
            return []

        candidates = self._boxes(frame)
        inside = [candidate for candidate in candidates if self._lies_inside(candidate.box, mask)]
        # Every cut takes time, so the boxes are reduced to a few first.
        chosen = suppressed(inside, self.most_overlap)[: self.most_cut]

        proposals = []
        for candidate in chosen:
            cut = self.cut(frame, candidate.box, foreground)
            if cut.any():
                # The product is high if an object both moves and has a closed contour.
                score = candidate.score * float(foreground[cut].mean())
                proposals.append(Proposal(mask=cut, score=score))

        return sorted(proposals, key=lambda proposal: -proposal.score)

    def _boxes(self, frame: np.ndarray) -> list[ScoredBox]:
        """Boxes of the whole frame, in its own pixels, highest score first."""
        # EdgeBoxes is run on a small frame: its time grows with the number of pixels.
        height, width = frame.shape[:2]
        scale = min(self.short_side / min(height, width), 1)
        size = (round(width * scale), round(height * scale))
        if min(size) < SMALLEST_SIDE:
            return []

        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)

        edges = self.edges(small)
        angle = orientation(edges)
        small_boxes = edge_boxes(thinned(edges, angle), angle, self.most_boxes)

        # The small size is rounded, so both sides have factors of their own.
        to_x, to_y = width / size[0], height / size[1]
        boxes = []
        for small_box in small_boxes:
            box = _scaled(small_box.box, to_x, to_y)
            boxes.append(ScoredBox(box=box, score=small_box.score))

        return boxes

    def _lies_inside(self, box: Box, mask: np.ndarray) -> bool:
        left, top, width, height = box
        # Neither mostly background, nor a tiny part of the foreground.
        count = int(mask[top : top + height, left : left + width].sum())
        return count >= self.filled * width * height and count >= self.covered * int(mask.sum())


def edge_boxes(edges: np.ndarray, angle: np.ndarray, most: int) -> list[ScoredBox]:
    """Find boxes by the contours inside them.

    Args:
        edges: strength of thin edges [H,W] float32 in 0..1.
        angle: direction across the edges [H,W] float32 in [0,pi).
        most: largest number of boxes.

    Returns:
        The boxes, highest score first; none in an image without edges.
    """
    vision: Any = cv2  # The type stubs of OpenCV lack ximgproc.
    finder = vision.ximgproc.createEdgeBoxes()
    finder.setMaxBoxes(most)
    # The default of 1000 pixels is meant for frames of full size.
    finder.setMinBoxArea(250)
    boxes, scores = finder.getBoundingBoxes(edges, angle)
    if not len(boxes):
        return []

    # OpenCV 4 returns a column, and OpenCV 5 a row. Sums of contours may exceed 1.
    values = np.minimum(np.reshape(scores, -1), 1).tolist()
    return [
        ScoredBox(box=tuple(box), score=score)
        for box, score in zip(boxes.tolist(), values, strict=True)
    ]


def suppressed(boxes: list[ScoredBox], most: float) -> list[ScoredBox]:
    """Suppress boxes that overlap one with a higher score (non-maximum suppression).

    Args:
        boxes: in any order.
        most: highest IoU of two boxes that are both kept.

    Returns:
        The boxes that are kept, highest score first.
    """
    kept: list[ScoredBox] = []
    for candidate in sorted(boxes, key=lambda box: -box.score):
        if all(box_iou(candidate.box, other.box) <= most for other in kept):
            kept.append(candidate)

    return kept


def box_iou(first: Box, second: Box) -> float:
    """Compute the intersection over union of two boxes; 0 if both are empty."""
    # Negative for boxes that are apart, and then set to 0.
    shared_width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    shared_height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    shared = max(shared_width, 0) * max(shared_height, 0)
    union = first[2] * first[3] + second[2] * second[3] - shared

    return shared / union if union else 0.0


def _scaled(box: Box, to_x: float, to_y: float) -> Box:
    left, top, width, height = box
    return round(left * to_x), round(top * to_y), round(width * to_x), round(height * to_y)
