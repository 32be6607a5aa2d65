"""Tracks by association: proposals of a frame are joined to the tracks that optical flow brings
into it.

MuG (Lu et al., CVPR 2020, Sec. 3.3) filters proposals by the object-level mask and associates them
by overlap and flow. It leaves the details open; the defaults of `Association` are this package's
choice, and so is that proposals which hold several tracks are divided among them: without it,
objects that touch would become one.

Shapes: N proposals, K open tracks, frames of H x W pixels, features of D channels.
"""

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
    """A `Linker` that associates proposals from frame to frame by overlap, after warping with
    backward flow.

    Raises InputError where frames of a video differ in size.
    """

    flow: Flow = dis_flow
    """Optical flow, called with a frame and the one before it."""
    embedding: Embedding | None = None
    """Appearance of masks; None: overlap alone decides."""
    appearance: float = 0.5
    """Weight (lambda) of the distance 1 - cosine of appearances beside 1 - IoU, where there is an
    embedding.
    """
    inside: float = 0.5
    """Least share of a proposal that must lie in the foreground."""
    whole: float = 0.8
    """A proposal keeps its pixels outside of the foreground if more than this share of it lies
    inside.
    """
    smallest: float = 0.001
    """Smallest proposal, as a share of the frame."""
    most_overlap: float = 0.5
    """Highest IoU of two proposals of a frame; of two that overlap more, the one with the higher
    score stays.
    """
    least_iou: float = 0.1
    """Least IoU of a warped track and its proposal."""
    most_missed: int = 5
    """Number of frames in a row that a track may be without a proposal; it then follows the flow
    alone.
    """
    divided: bool = True
    """Divide a proposal that several tracks have in common, as connected parts have where objects
    touch.
    """
    at_home: float = 0.7
    """Share of the mask of a track that must lie in such a proposal."""
    residual: float = 0.01
    """Smallest object made of foreground that no proposal explains, as a share of the frame."""
    residual_score: float = 0.01
    """Score of such an object, below that of proposals."""
    shortest: int = 3
    """Fewest frames of a track; fewer where the video is shorter."""
    most_tracks: int = MOST_TRACKS
    """Number of tracks that are kept."""

    def __call__(self, frames: Iterable[FrameProposals]) -> list[Track]:
        """The tracks of a video, the most important first; none where there are no objects."""
        open_tracks: list[_OpenTrack] = []
        ended: list[_OpenTrack] = []
        before: np.ndarray | None = None
        count = 0

        for index, frame in enumerate(frames):
            if before is not None:
                _move(open_tracks, self.flow(frame.frame, before))

            still_open = self._step(open_tracks, index, frame)

            for track in open_tracks:
                if track not in still_open:
                    track.end()
                    ended.append(track)

            open_tracks, before, count = still_open, frame.frame, index + 1

        return self._ranked([*ended, *open_tracks], count)

    def _step(
        self, tracks: list["_OpenTrack"], index: int, frame: FrameProposals
    ) -> list["_OpenTrack"]:
        """Extend tracks, moved to frame `index` by now, and start new ones; returns the tracks that
        may grow on.
        """
        proposals = self._divided(kept(frame, self), tracks)
        found = self._associate(tracks, index, frame.frame, proposals)
        waiting = [track for track in tracks if track not in found]

        # Tracks of objects bridge the gap at once, so that what they explain is not taken for
        # something new.
        objects = [track for track in waiting if not track.is_residual]
        shown = [*found, *self._bridged(objects, index, frame.foreground)]

        # What the foreground holds besides goes to objects of its own, or to the nearest track.
        rest = frame.foreground & ~_union(shown, index, frame.foreground.shape)
        parts = [Proposal(mask=part, score=self.residual_score) for part in self._large_parts(rest)]
        residuals = [track for track in waiting if track.is_residual]
        continued = self._associate(residuals, index, frame.frame, parts, residual=True)
        lost = [track for track in residuals if track not in continued]
        shown += [*continued, *self._bridged(lost, index, rest)]

        _spread(shown, index, rest)
        return shown

    def _divided(
        self, proposals: Sequence[Proposal], tracks: Sequence["_OpenTrack"]
    ) -> list[Proposal]:
        """Divide each proposal that holds several settled tracks, moved to its frame by now, among
        them.
        """
        settled = [
            track.mask
            for track in tracks
            if len(track.masks) >= self.shortest and not track.is_residual
        ]
        if not self.divided or len(settled) < 2 or not proposals:
            return list(proposals)

        masks = np.stack([proposal.mask for proposal in proposals])
        # A track is at home in the proposal that it overlaps most, if most of it lies there.
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

            shares = _shares(neighbours, proposal.mask)
            pieces += [
                Proposal(mask=share, score=proposal.score) for share in shares if share.any()
            ]

        return pieces

    def _bridged(
        self, tracks: Sequence["_OpenTrack"], index: int, foreground: np.ndarray
    ) -> list["_OpenTrack"]:
        """The tracks without proposal that have not missed too many, taken one frame further."""
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
        """Give each object to the track that it fits, or to a new one; returns the tracks that have
        one now.
        """
        size = (frame.shape[0], frame.shape[1])
        masks = stacked([one.mask for one in objects], size)
        features = self.embedding(frame, masks) if self.embedding and len(masks) else None
        iou = pairwise_iou(stacked([track.mask for track in tracks], size), masks)

        cost = 1 - iou
        if features is not None and tracks:
            cosine = np.stack([features @ track.feature for track in tracks])
            cost = cost + self.appearance * (1 - cosine)

        rows, columns = linear_sum_assignment(cost)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        chosen = {
            column: tracks[row] for row, column in pairs if iou[row, column] >= self.least_iou
        }

        extended = []
        for number, one in enumerate(objects):
            track = chosen.get(number) or _OpenTrack(mask=one.mask, is_residual=residual)
            # A proposal that fits makes a real object of what was residual.
            track.is_residual = track.is_residual and residual
            track.extend(index, one, None if features is None else features[number])
            extended.append(track)

        return extended

    def _large_parts(self, rest: np.ndarray) -> list[np.ndarray]:
        """The connected parts of the unexplained foreground that are large enough to be objects."""
        least = self.residual * rest.size
        return (
            [part for part in connected_parts(rest) if part.sum() > least]
            if rest.sum() > least
            else []
        )

    def _ranked(self, tracks: list["_OpenTrack"], frames: int) -> list[Track]:
        """Long tracks by the sum of their scores times their length, highest first."""
        long_enough = [track for track in tracks if len(track.masks) >= min(self.shortest, frames)]
        # Sorting keeps the order of tracks that are equal: that in which they started.
        ranked = sorted(long_enough, key=lambda track: -track.importance)
        return [
            Track(id=id, score=track.importance, masks=track.masks)
            for id, track in enumerate(ranked[: self.most_tracks], start=1)
        ]


def kept(frame: FrameProposals, settings: Association) -> list[Proposal]:
    """The proposals of a frame that lie in its foreground and overlap little, highest score first.

    Args:
        frame: Proposals and the object-level mask that filters them.
        settings: `inside`, `whole`, `smallest` and `most_overlap` are looked at.

    Returns:
        Proposals whose masks are cut to the foreground unless nearly all of them lies in it.
    """
    inside = []
    for proposal in frame.proposals:
        area = int(proposal.mask.sum())
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


@dataclass(kw_only=True, eq=False)
class _OpenTrack:
    """A track that may still grow; `mask` [H,W] bool is where it was, or was moved to, in the
    latest frame.
    """

    mask: np.ndarray
    is_residual: bool
    masks: dict[int, PackedMask] = field(default_factory=dict)
    total_score: float = 0.0
    missed: int = 0
    feature: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def importance(self) -> float:
        """What tracks are ranked by: the sum of the scores times the length in frames."""
        return self.total_score * len(self.masks)

    def extend(self, index: int, proposal: Proposal, feature: np.ndarray | None) -> None:
        """Take a proposal of frame `index`."""
        self.mask, self.missed = proposal.mask, 0
        self.masks[index] = PackedMask.of(proposal.mask)
        self.total_score += proposal.score
        if feature is not None:
            self.feature = feature

    def bridge(self, index: int, foreground: np.ndarray) -> None:
        """Stay for a frame without proposal: in the foreground, or unseen where there is none."""
        self.missed += 1
        seen = self.mask & foreground
        if seen.any():
            self.mask = seen
            self.masks[index] = PackedMask.of(seen)

    def end(self) -> None:
        """Free the memory of what only a track that grows needs."""
        self.mask = np.zeros((0, 0), bool)


def _move(tracks: Sequence[_OpenTrack], flow: np.ndarray) -> None:
    """Bring the masks of the tracks from the frame before to this one, by the flow [H,W,2] back to
    it.
    """
    if not tracks:
        return

    # Masks as channels share the coordinates of one call.
    moved = warp(np.stack([track.mask for track in tracks], axis=2), flow)
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


def _spread(tracks: Sequence[_OpenTrack], index: int, rest: np.ndarray) -> None:
    """Give each unexplained pixel [H,W] bool of frame `index` to the track that is nearest to
    it.
    """
    shown = [track for track in tracks if index in track.masks]
    if not shown or not rest.any():
        return

    for track, share in zip(shown, _shares([track.mask for track in shown], rest), strict=True):
        if share.any():
            track.mask = track.mask | share
            track.masks[index] = PackedMask.of(track.mask)


def _side_by_side(masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The masks [H,W] bool without those that lie, for the most part, in a larger one: parts of it,
    not neighbours.
    """
    by_size = sorted(masks, key=lambda mask: -int(mask.sum()))
    stay: list[np.ndarray] = []
    for mask in by_size:
        if all((mask & larger).sum() <= 0.5 * mask.sum() for larger in stay):
            stay.append(mask)

    return stay


def _shares(masks: Sequence[np.ndarray], region: np.ndarray) -> list[np.ndarray]:
    """Divide a region [H,W] bool among masks [H,W] bool: each pixel goes to the nearest, and of
    several to the last.
    """
    owner = np.full(region.shape, -1)
    for number, mask in enumerate(masks):
        owner[mask] = number

    # OpenCV numbers the pixels of the masks, and tells every other pixel the number of the nearest
    # of them.
    free = (owner < 0).astype(np.uint8)

    if free.any():
        _, nearest = cv2.distanceTransformWithLabels(
            free, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        owner_of_number = np.zeros(int(nearest.max()) + 1, int)
        owner_of_number[nearest[owner >= 0]] = owner[owner >= 0]
        owner = owner_of_number[nearest]

    return [region & (owner == number) for number in range(len(masks))]
