"""Tracklets of UnOVOST: proposals of successive frames that optical flow joins, as far as it can.

Shapes: N proposals of one frame, M of the next, D numbers that tell how a proposal looks.
Source: Luiten, Zulfikar, Leibe, UnOVOST: Unsupervised Offline Video Object Segmentation and
Tracking, WACV 2020.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment

from densevos.data.foreground.flow import Flow, warp
from densevos_eval.zeroshot.linking.embedding import Embedding
from densevos_eval.zeroshot.linking.track import FrameProposals, PackedMask
from densevos_eval.zeroshot.proposals.overlap import pairwise_iou, stacked
from densevos_eval.zeroshot.proposals.proposal import Proposal


@dataclass(frozen=True, kw_only=True)
class Tracklet:
    """One object in successive frames, without a gap.

    The release also keeps the mean area, which nothing uses; it is left out.
    """

    start: int
    """Index of its first frame."""
    masks: Sequence[PackedMask]
    """Its mask in each of its frames."""
    score: float
    """Mean score of its proposals."""
    appearance: np.ndarray
    """Mean embedding of its proposals, [D] float64."""

    @property
    def end(self) -> int:
        """Index of its last frame."""
        return self.start + len(self.masks) - 1


@dataclass(kw_only=True)
class _Growing:
    """A tracklet that later frames may still continue."""

    start: int
    masks: list[PackedMask] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    appearances: np.ndarray | float = 0.0

    def add(self, proposal: Proposal, appearance: np.ndarray) -> None:
        self.masks.append(PackedMask.of(proposal.mask))
        self.scores.append(proposal.score)
        self.appearances = self.appearances + appearance.astype(np.float64)

    def finished(self) -> Tracklet:
        return Tracklet(
            start=self.start,
            masks=tuple(self.masks),
            score=float(np.mean(self.scores)),
            appearance=np.asarray(self.appearances) / len(self.masks),
        )


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """The frame before: its picture, its masks [N,H,W] bool, and the tracklet of each mask."""

    picture: np.ndarray
    masks: np.ndarray
    tracklets: Sequence[_Growing]


def tracklets(
    frames: Iterable[FrameProposals],
    *,
    clip_iou: float,
    flow_iou: float,
    embedding: Embedding,
    flow: Flow,
) -> tuple[list[Tracklet], int]:
    """Join the proposals of neighbouring frames that overlap after warping.

    The release forgets proposals that begin in the last frame, and those of a video of one frame;
    here each begins a tracklet, as elsewhere.

    Args:
        frames: The frames in order; each is looked at once.
        clip_iou: Of two proposals of a frame that overlap by this IoU or more, one is dropped.
        flow_iou: A tracklet goes on where the IoU after warping is above this.
        embedding: How proposals look.
        flow: Optical flow, which brings masks from a frame to the next.

    Returns:
        The tracklets by start, those of one frame with the best first, and the number of frames.
    """
    found: list[_Growing] = []
    before: _Frame | None = None
    count = 0

    for now in frames:
        kept = non_overlapping(now.proposals, clip_iou)
        masks = stacked(
            [proposal.mask for proposal in kept], (now.frame.shape[0], now.frame.shape[1])
        )
        looks = embedding(now.frame, masks) if kept else ()
        earlier = _continued(before, now.frame, masks, flow_iou, flow) if before else {}

        current: list[_Growing] = []
        for index, (proposal, look) in enumerate(zip(kept, looks, strict=True)):
            tracklet = earlier.get(index)
            if tracklet is None:
                tracklet = _Growing(start=count)
                found.append(tracklet)

            tracklet.add(proposal, look)
            current.append(tracklet)

        before = _Frame(picture=now.frame, masks=masks, tracklets=current)
        count += 1

    return [tracklet.finished() for tracklet in found], count


def non_overlapping(proposals: Iterable[Proposal], iou: float) -> list[Proposal]:
    """The proposals, best first, without those that overlap a better one by `iou` or more.

    The release takes pairs in the order of its files and gives up the weaker of each, so that its
    result depends on that order; here the best that is left is kept first. Equal scores: the larger
    goes first. Empty masks are dropped.
    """
    candidates = sorted((proposal for proposal in proposals if proposal.mask.any()), key=_order)
    if not candidates:
        return []

    masks = np.stack([proposal.mask for proposal in candidates])
    overlap = pairwise_iou(masks, masks)

    kept: list[int] = []
    for index in range(len(candidates)):
        if (overlap[index, kept] < iou).all():
            kept.append(index)

    return [candidates[index] for index in kept]


def _continued(
    before: _Frame, picture: np.ndarray, masks: np.ndarray, flow_iou: float, flow: Flow
) -> dict[int, _Growing]:
    """The tracklets of the frame before that go on, by the index of the mask in this frame."""
    if not len(before.masks) or not len(masks):
        return {}

    back = flow(picture, before.picture)
    warped = np.stack([warp(mask, back) for mask in before.masks])
    similarity = pairwise_iou(warped, masks)

    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return {
        int(column): before.tracklets[row]
        for row, column in zip(rows, columns, strict=True)
        if similarity[row, column] > flow_iou
    }


def _order(proposal: Proposal) -> tuple[float, int, bytes]:
    """Where a proposal stands among those of its frame, whatever order they came in."""
    return -proposal.score, -int(proposal.mask.sum()), np.packbits(proposal.mask).tobytes()
