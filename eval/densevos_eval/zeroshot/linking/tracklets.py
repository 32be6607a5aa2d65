"""Tracklets of UnOVOST: joins proposals of successive frames that overlap after optical flow.

Source: Luiten, Zulfikar, Leibe, UnOVOST: Unsupervised Offline Video Object Segmentation and
Tracking, WACV 2020.
"""

# Shapes: N proposals of one frame, M of the next, H x W pixels, D channels of an embedding.

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

    The released program also keeps the mean area, which nothing uses; it is left out.
    """

    start: int
    """Index of the first frame."""
    masks: Sequence[PackedMask]
    """Mask of the object in each frame, from `start` on."""
    score: float
    """Mean score of the proposals."""
    appearance: np.ndarray
    """Mean embedding of the proposals, [D] float64."""

    @property
    def end(self) -> int:
        """Index of the last frame."""
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
        # A sum in float64: single embeddings of a long tracklet need not be kept.
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
    """The frame before: its image [H,W,3], its masks [N,H,W] bool, and the tracklet of each."""

    image: np.ndarray
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

    The released program ignores objects that appear in the last frame, and all objects of a video
    of one frame. Here every object starts a tracklet.

    Args:
        frames: the frames in order; each is read once.
        clip_iou: of two proposals of a frame that overlap by this IoU or more, one is dropped.
        flow_iou: a tracklet continues if the IoU after warping is above this.
        embedding: appearance of proposals.
        flow: optical flow, which warps masks from a frame to the next.

    Returns:
        The tracklets by start (those with the same start by score, highest first), and the number
        of frames.
    """
    started: list[_Growing] = []
    before: _Frame | None = None
    count = 0

    for now in frames:
        kept = non_overlapping(now.proposals, clip_iou)
        size = (now.frame.shape[0], now.frame.shape[1])
        masks = stacked([proposal.mask for proposal in kept], size)
        # An embedding takes at least one mask.
        appearances = embedding(now.frame, masks) if kept else ()
        continued = _continued(before, now.frame, masks, flow_iou, flow) if before else {}

        # Each proposal either continues a tracklet of the frame before, or starts one.
        current: list[_Growing] = []
        for index, (proposal, appearance) in enumerate(zip(kept, appearances, strict=True)):
            tracklet = continued.get(index)
            if tracklet is None:
                tracklet = _Growing(start=count)
                started.append(tracklet)

            tracklet.add(proposal, appearance)
            current.append(tracklet)

        before = _Frame(image=now.frame, masks=masks, tracklets=current)
        count += 1

    # They were started frame by frame, the best first, so they are sorted already.
    return [tracklet.finished() for tracklet in started], count


def non_overlapping(proposals: Iterable[Proposal], iou: float) -> list[Proposal]:
    """Drop proposals that overlap a better one.

    The released program compares pairs in the order of its files and drops the worse of each, so
    that its result depends on that order. Here the best proposals are kept first. Of equal scores
    the larger mask is better.

    Args:
        proposals: proposals of one frame. Those with empty masks are dropped.
        iou: overlap with a better proposal from which on a proposal is dropped.

    Returns:
        The proposals that are kept, the best first.
    """
    visible = [proposal for proposal in proposals if proposal.mask.any()]
    candidates = sorted(visible, key=_order)
    if not candidates:
        return []

    masks = np.stack([proposal.mask for proposal in candidates])
    overlap = pairwise_iou(masks, masks)

    kept: list[int] = []
    for index in range(len(candidates)):
        # The first candidate has nothing to overlap, and `all` of nothing is true.
        if (overlap[index, kept] < iou).all():
            kept.append(index)

    return [candidates[index] for index in kept]


def _continued(
    before: _Frame, image: np.ndarray, masks: np.ndarray, flow_iou: float, flow: Flow
) -> dict[int, _Growing]:
    """The tracklets of the frame before that continue, by the index of their mask in this one."""
    if not len(before.masks) or not len(masks):
        return {}

    # Backward flow: each pixel of this frame fetches its value from the frame before.
    back = flow(image, before.image)
    warped = np.stack([warp(mask, back) for mask in before.masks])
    similarity = pairwise_iou(warped, masks)

    # The assignment pairs as many as it can, also those that hardly overlap.
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    continued: dict[int, _Growing] = {}
    for row, column in zip(rows, columns, strict=True):
        if similarity[row, column] > flow_iou:
            continued[int(column)] = before.tracklets[row]

    return continued


def _order(proposal: Proposal) -> tuple[float, int, bytes]:
    """Key that sorts the proposals of a frame, independently of the order that they came in."""
    # The pixels themselves break ties between equal scores and areas.
    return -proposal.score, -int(proposal.mask.sum()), np.packbits(proposal.mask).tobytes()
