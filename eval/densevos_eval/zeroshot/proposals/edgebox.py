"""Proposals without any learning: EdgeBoxes finds boxes, GrabCut the object in each.

EdgeBoxes (Zitnick and Dollar, ECCV 2014) ranks boxes by the contours that lie completely inside. It
is OpenCV's.
"""

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from densevos_eval.zeroshot.proposals.edge_map import EdgeMap, gradient_edges, orientation, thinned
from densevos_eval.zeroshot.proposals.grabcut import Box, GrabCut
from densevos_eval.zeroshot.proposals.proposal import Proposal

SMALLEST_SIDE = 16
"""Images with a shorter side have no boxes, pixels."""


@dataclass(frozen=True, kw_only=True)
class ScoredBox:
    """A box and how sure EdgeBoxes is that it holds an object."""

    box: Box
    score: float


@dataclass(frozen=True, kw_only=True)
class EdgeBoxes:
    """A `ProposalSource` of the boxes that lie in the foreground, each cut to its object."""

    edges: EdgeMap = gradient_edges
    """Strength of the edges of a frame."""
    short_side: int = 180
    """Shorter side at which boxes are looked for, in pixels; smaller frames keep their size."""
    most_boxes: int = 200
    """Number of boxes that EdgeBoxes returns."""
    threshold: float = 0.5
    """Foreground threshold on the probability."""
    filled: float = 0.3
    """Least share of a box that must be foreground."""
    covered: float = 0.05
    """Least share of the whole foreground that a box must hold."""
    most_overlap: float = 0.7
    """Highest IoU of two boxes; of two that overlap more, the one with the higher score stays."""
    most_cut: int = 8
    """Number of boxes, those with the highest scores, that are cut."""
    cut: GrabCut = field(default_factory=GrabCut)
    """Cuts the object out of a box."""

    def __call__(self, frame: np.ndarray, foreground: np.ndarray) -> list[Proposal]:
        """The objects of one frame, highest score first; none where there is no foreground."""
        mask = foreground >= self.threshold
        if not mask.any():
            return []

        candidates = self._boxes(frame)
        inside = [one for one in candidates if self._lies_inside(one.box, mask)]
        chosen = suppressed(inside, self.most_overlap)[: self.most_cut]

        proposals = []
        for one in chosen:
            cut = self.cut(frame, one.box, foreground)
            if cut.any():
                # An object that moves and has a closed contour is the surest.
                proposals.append(
                    Proposal(mask=cut, score=one.score * float(foreground[cut].mean()))
                )

        return sorted(proposals, key=lambda proposal: -proposal.score)

    def _boxes(self, frame: np.ndarray) -> list[ScoredBox]:
        """Boxes of the whole frame, in its own pixels, highest score first."""
        height, width = frame.shape[:2]
        scale = min(self.short_side / min(height, width), 1)
        size = (round(width * scale), round(height * scale))
        if min(size) < SMALLEST_SIDE:
            return []

        small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)

        edges = self.edges(small)
        angle = orientation(edges)
        found = edge_boxes(thinned(edges, angle), angle, self.most_boxes)

        to_x, to_y = width / size[0], height / size[1]
        return [ScoredBox(box=_scaled(one.box, to_x, to_y), score=one.score) for one in found]

    def _lies_inside(self, box: Box, mask: np.ndarray) -> bool:
        left, top, width, height = box
        count = int(mask[top : top + height, left : left + width].sum())
        return count >= self.filled * width * height and count >= self.covered * int(mask.sum())


def edge_boxes(edges: np.ndarray, angle: np.ndarray, most: int) -> list[ScoredBox]:
    """Boxes by the contours inside of them.

    Args:
        edges: Strength of thin edges [H,W] float32 in 0..1.
        angle: Direction across the edges [H,W] float32 in [0,pi).
        most: Number of boxes.

    Returns:
        At most that many boxes, highest score first; none in an image without edges.
    """
    vision: Any = cv2  # its stubs lack ximgproc
    finder = vision.ximgproc.createEdgeBoxes()
    finder.setMaxBoxes(most)
    # The default, 1000 pixels, is meant for frames of full size.
    finder.setMinBoxArea(250)
    boxes, scores = finder.getBoundingBoxes(edges, angle)
    if not len(boxes):
        return []

    # OpenCV 4 returns a column, OpenCV 5 a row; sums of contours may exceed 1.
    values = np.minimum(np.reshape(scores, -1), 1).tolist()
    return [
        ScoredBox(box=tuple(box), score=score)
        for box, score in zip(boxes.tolist(), values, strict=True)
    ]


def suppressed(boxes: list[ScoredBox], most: float) -> list[ScoredBox]:
    """Non-maximum suppression: the boxes, highest score first, no two of which have a higher IoU
    than `most`.
    """
    stay: list[ScoredBox] = []
    for candidate in sorted(boxes, key=lambda one: -one.score):
        if all(box_iou(candidate.box, other.box) <= most for other in stay):
            stay.append(candidate)

    return stay


def box_iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes; 0 where both are empty."""
    shared_width = min(first[0] + first[2], second[0] + second[2]) - max(first[0], second[0])
    shared_height = min(first[1] + first[3], second[1] + second[3]) - max(first[1], second[1])
    shared = max(shared_width, 0) * max(shared_height, 0)
    union = first[2] * first[3] + second[2] * second[3] - shared

    return shared / union if union else 0.0


def _scaled(box: Box, to_x: float, to_y: float) -> Box:
    left, top, width, height = box
    return round(left * to_x), round(top * to_y), round(width * to_x), round(height * to_y)
