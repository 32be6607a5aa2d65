"""Joins proposals to tracks frame by frame, by their overlap after optical flow.

MuG (Lu et al., CVPR 2020, Sec. 3.3) filters proposals by the object-level mask and associates them
by overlap and flow. It leaves the details open: the defaults of `Association` are choices of this
package. So is the division of a proposal that holds several tracks; without it, objects that touch
would become one.
"""

# Shapes: N proposals, K open tracks, H x W pixels of a frame, D channels of an embedding.

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from densevos.data.foreground.flow import Flow, dis_flow, warp
from densevos_eval.zeroshot.linking.embedding import Embedding
from densevos_eval.zeroshot.linking.track import MOST_TRACKS, FrameProposals, PackedMask, Track
from densevos_eval.zeroshot.proposals.overlap import non_overlapping, pairwise_iou, stacked
from densevos_eval.zeroshot.proposals.parts import connected_parts
from densevos_eval.zeroshot.proposals.proposal import Proposal


@dataclass(frozen=True, kw_only=True)
class Association:
    """A `Linker` that associates proposals from frame to frame by overlap.

    Masks of tracks are warped into each frame with backward flow before they are compared.

    Raises:
        InputError: if frames of a video differ in size.
    """

    flow: Flow = dis_flow
    """Optical flow, called with a frame and the one before it."""
    embedding: Embedding | None = None
    """Appearance of masks; None: only overlap is compared."""
    appearance: float = 0.5
    """Weight (lambda) of the distance 1 - cosine of appearances; the weight of 1 - IoU is 1."""
    inside: float = 0.5
    """Smallest share of a proposal that must lie in the foreground."""
    whole: float = 0.8
    """A proposal keeps its pixels outside of the foreground if more than this share of it lies
    inside.
    """
    smallest: float = 0.001
    """Area of the smallest proposal, as a share of the frame."""
    most_overlap: float = 0.5
    """Highest IoU of two proposals of a frame; of two that overlap more, the one with the higher
    score is kept.
    """
    least_iou: float = 0.1
    """Lowest IoU of a warped track and its proposal."""
    most_missed: int = 5
    """Largest number of frames in a row in which a track may have no proposal and follow the flow
    alone.
    """
    divided: bool = True
    """Divide a proposal among the tracks that share it, as the connected part of objects that
    touch.
    """
    at_home: float = 0.7
    """Smallest share of a track's mask that must lie in a shared proposal."""
    residual: float = 0.01
    """Area of the smallest residual object, made of foreground without proposals, as a share of the
    frame."""
    residual_score: float = 0.01
    """Score of residual objects, lower than that of proposals."""
    shortest: int = 3
    """Smallest number of frames of a track, unless the video is shorter."""
    most_tracks: int = MOST_TRACKS
    """Largest number of tracks to keep."""

    def __call__(self, frames: Iterable[FrameProposals]) -> list[Track]:
        """Join the proposals of a video to tracks.

        Args:
            frames: all frames in order; each is read once.

        Returns:
            The tracks, the most important first.
        """
        open_tracks: list[_OpenTrack] = []
        ended: list[_OpenTrack] = []
        before: np.ndarray | None = None
        count = 0

        for index, frame in enumerate(frames):
            if before is not None:
                # The flow leads back, so each pixel fetches its value from the frame before.
                _move(open_tracks, self.flow(frame.frame, before))

            still_open = self._step(open_tracks, index, frame)

            # Ended tracks wait for the ranking with packed masks only.
            for track in open_tracks:
                if track not in still_open:
                    track.end()
                    ended.append(track)

            open_tracks, before, count = still_open, frame.frame, index + 1

        return self._ranked([*ended, *open_tracks], count)

    def _step(
        self, tracks: list["_OpenTrack"], index: int, frame: FrameProposals
    ) -> list["_OpenTrack"]:
        """Extend tracks, already warped to frame `index`, and start new ones."""
        proposals = self._divided(kept(frame, self), tracks)
        # All tracks compete for the proposals, residual ones too.
        matched = self._associate(tracks, index, frame.frame, proposals)
        waiting = [track for track in tracks if track not in matched]

        # Tracks of objects bridge the gap first, so that the foreground that they explain does not
        # become a new object.
        objects = [track for track in waiting if not track.is_residual]
        shown = matched + self._bridged(objects, index, frame.foreground)

        # Large parts of the foreground that is left become residual objects.
        unexplained = frame.foreground & ~_union(shown, index, frame.foreground.shape)
        parts = []
        for part in self._large_parts(unexplained):
            parts.append(Proposal(mask=part, score=self.residual_score))

        # Residual tracks continue with the large parts that are left, before they bridge a gap.
        residuals = [track for track in waiting if track.is_residual]
        continued = self._associate(residuals, index, frame.frame, parts, residual=True)
        lost = [track for track in residuals if track not in continued]
        shown += continued + self._bridged(lost, index, unexplained)

        # Small parts join the nearest track, so that the tracks cover the whole foreground.
        _spread(shown, index, unexplained)
        return shown

    def _divided(
        self, proposals: Sequence[Proposal], tracks: Sequence["_OpenTrack"]
    ) -> list[Proposal]:
        """Divide each proposal that holds several settled tracks, already warped, among them."""
        # Short tracks and residuals may be parts of an object, which must not divide it.
        settled = [
            track.mask
            for track in tracks
            if len(track.masks) >= self.shortest and not track.is_residual
        ]
        if not self.divided or len(settled) < 2 or not proposals:
            return list(proposals)

        masks = np.stack([proposal.mask for proposal in proposals])
        # Home of a track: the proposal that it overlaps most, if most of the track lies in it.
        homes = pairwise_iou(np.stack(settled), masks).argmax(axis=1).tolist()

        pieces = []
        for number, proposal in enumerate(proposals):
            inside = []
            for mask, home in zip(settled, homes, strict=True):
                shared = mask & proposal.mask
                if home == number and shared.sum() > self.at_home * mask.sum():
                    inside.append(shared)

            neighbours = _side_by_side(inside)
            if len(neighbours) < 2:
                pieces.append(proposal)
                continue

            for share in _shares(neighbours, proposal.mask):
                if share.any():
                    pieces.append(Proposal(mask=share, score=proposal.score))

        return pieces

    def _bridged(
        self, tracks: Sequence["_OpenTrack"], index: int, foreground: np.ndarray
    ) -> list["_OpenTrack"]:
        """Continue tracks without a proposal by one frame, unless they missed too many; returns
        them.
        """
        patient = [track for track in tracks if track.missed < self.most_missed]
        for track in patient:
            track.bridge(index, foreground)

        return patient

    def _associate(
        self,
        tracks: list["_OpenTrack"],
        index: int,
        frame: np.ndarray,
        objects: Sequence[Proposal],
        *,
        residual: bool = False,
    ) -> list["_OpenTrack"]:
        """Add each object to the track that it fits, or to a new one; returns their tracks."""
        size = (frame.shape[0], frame.shape[1])
        masks = stacked([proposal.mask for proposal in objects], size)
        features = None
        if self.embedding and len(masks):
            features = self.embedding(frame, masks)

        # [K,N], of masks that are already warped to this frame.
        iou = pairwise_iou(stacked([track.mask for track in tracks], size), masks)

        cost = 1 - iou
        if features is not None and tracks:
            # [N,D] @ [D] for each track: [K,N]. All rows are unit vectors.
            cosine = np.stack([features @ track.feature for track in tracks])
            cost = cost + self.appearance * (1 - cosine)

        # The assignment pairs as many as it can, also those that hardly overlap.
        rows, columns = linear_sum_assignment(cost)
        track_of: dict[int, _OpenTrack] = {}
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
            if iou[row, column] >= self.least_iou:
                track_of[column] = tracks[row]

        extended = []
        for number, proposal in enumerate(objects):
            track = track_of.get(number) or _OpenTrack(mask=proposal.mask, is_residual=residual)
            # A track that matches a proposal is no longer residual.
            track.is_residual = track.is_residual and residual
            track.extend(index, proposal, None if features is None else features[number])
            extended.append(track)

        return extended

    def _large_parts(self, unexplained: np.ndarray) -> list[np.ndarray]:
        """The connected parts of the unexplained foreground that are large enough to be objects."""
        least = self.residual * unexplained.size
        # Saves time: in most frames nearly everything is explained.
        if unexplained.sum() <= least:
            return []

        return [part for part in connected_parts(unexplained) if part.sum() > least]

    def _ranked(self, tracks: list["_OpenTrack"], frames: int) -> list[Track]:
        """The tracks that are long enough, the most important first."""
        shortest = min(self.shortest, frames)
        long_enough = [track for track in tracks if len(track.masks) >= shortest]
        # Sorting is stable: equally important tracks keep the order of `tracks`.
        ranked = sorted(long_enough, key=lambda track: -track.importance)
        return [
            Track(id=id, score=track.importance, masks=track.masks)
            for id, track in enumerate(ranked[: self.most_tracks], start=1)
        ]


def kept(frame: FrameProposals, settings: Association) -> list[Proposal]:
    """Filter the proposals of a frame by its foreground, and drop those that overlap better ones.

    Args:
        frame: the proposals, and the object-level mask that filters them.
        settings: uses `inside`, `whole`, `smallest` and `most_overlap`.

    Returns:
        The proposals that are kept, highest score first. Their masks are cut to the foreground,
        unless nearly all of a mask lies in it.
    """
    inside = []
    for proposal in frame.proposals:
        area = int(proposal.mask.sum())
        # An empty mask has no share, so at least one pixel is needed in a frame of any size.
        if area < max(settings.smallest * proposal.mask.size, 1):
            continue

        cut = proposal.mask & frame.foreground
        share = int(cut.sum()) / area
        if share >= settings.inside:
            mask = proposal.mask if share > settings.whole else cut
            inside.append(Proposal(mask=mask, score=proposal.score))

    size = (frame.foreground.shape[0], frame.foreground.shape[1])
    masks = stacked([proposal.mask for proposal in inside], size)
    scores = np.array([proposal.score for proposal in inside])
    return [inside[index] for index in non_overlapping(masks, scores, settings.most_overlap)]


# Compared by identity: a comparison of fields would compare arrays, which have no single truth.
@dataclass(kw_only=True, eq=False)
class _OpenTrack:
    """A track that may still grow.

    mask: [H,W] bool in the latest frame; warped from the frame before until a proposal is found.
    is_residual: it consists of foreground without proposals.
    masks: frame index -> mask.
    total_score: sum of the scores of its proposals.
    missed: number of frames since its last proposal.
    feature: [D], the appearance of its last proposal.
    """

    mask: np.ndarray
    is_residual: bool
    masks: dict[int, PackedMask] = field(default_factory=dict)
    total_score: float = 0.0
    missed: int = 0
    feature: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def importance(self) -> float:
        """Rank of the track: the sum of its scores times its length in frames."""
        return self.total_score * len(self.masks)

    def extend(self, index: int, proposal: Proposal, feature: np.ndarray | None) -> None:
        """Add a proposal of frame `index`."""
        self.mask, self.missed = proposal.mask, 0
        self.masks[index] = PackedMask.of(proposal.mask)
        self.total_score += proposal.score
        if feature is not None:
            self.feature = feature

    def bridge(self, index: int, foreground: np.ndarray) -> None:
        """Continue for a frame without a proposal, within the foreground."""
        self.missed += 1
        # If the warped mask is outside of the foreground, the object is hidden in this frame.
        seen = self.mask & foreground
        if seen.any():
            self.mask = seen
            self.masks[index] = PackedMask.of(seen)

    def end(self) -> None:
        """Free memory that only an open track needs."""
        self.mask = np.zeros((0, 0), bool)


def _move(tracks: Sequence[_OpenTrack], flow: np.ndarray) -> None:
    """Warp the masks of tracks to a frame, by the flow [H,W,2] back to the frame before it."""
    if not tracks:
        return

    # Masks as channels share the coordinates of one call.
    moved = warp(np.stack([track.mask for track in tracks], axis=2), flow)
    # OpenCV drops the last axis of a single mask.
    moved = moved.reshape(*flow.shape[:2], len(tracks))
    for channel, track in enumerate(tracks):
        track.mask = np.ascontiguousarray(moved[..., channel])


def _union(tracks: Sequence[_OpenTrack], index: int, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels [H,W] bool of frame `index` that belong to any of the tracks."""
    union = np.zeros(shape, bool)
    for track in tracks:
        if index in track.masks:
            union |= track.mask

    return union


def _spread(tracks: Sequence[_OpenTrack], index: int, unexplained: np.ndarray) -> None:
    """Add each unexplained pixel [H,W] bool of frame `index` to the track that is nearest to it."""
    shown = [track for track in tracks if index in track.masks]
    if not shown or not unexplained.any():
        return

    shares = _shares([track.mask for track in shown], unexplained)
    for track, share in zip(shown, shares, strict=True):
        if share.any():
            track.mask = track.mask | share
            track.masks[index] = PackedMask.of(track.mask)


def _side_by_side(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The masks [H,W] bool without those that lie mostly in a larger one."""
    # A mask within a larger one is a part of that object, and not a neighbour.
    by_size = sorted(masks, key=lambda mask: -int(mask.sum()))
    apart: list[np.ndarray] = []
    for mask in by_size:
        if all((mask & larger).sum() <= 0.5 * mask.sum() for larger in apart):
            apart.append(mask)

    return apart


def _shares(masks: Sequence[np.ndarray], region: np.ndarray) -> list[np.ndarray]:
    """Divide a region [H,W] bool among masks [H,W] bool: each pixel goes to the nearest mask."""
    # A pixel of several masks goes to the last of them.
    owner = np.full(region.shape, -1)
    for number, mask in enumerate(masks):
        owner[mask] = number

    # OpenCV numbers the pixels of the masks, and labels every other pixel with the number of the
    # nearest one.
    free = (owner < 0).astype(np.uint8)
    if free.any():
        # 5 is the size of the mask from which OpenCV adds up distances.
        _, nearest = cv2.distanceTransformWithLabels(
            free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        owner_of_number = np.zeros(int(nearest.max()) + 1, int)
        owner_of_number[nearest[owner >= 0]] = owner[owner >= 0]
        owner = owner_of_number[nearest]

    return [region & (owner == number) for number in range(len(masks))]
