"""UnOVOST (Luiten, Zulfikar, Leibe, WACV 2020): objects of a video from proposals, offline and
without a first mask.

1. Proposals of a frame that overlap a better one are dropped.      tracklets.py
2. Proposals of neighbouring frames that overlap after warping make tracklets.
3. A tracklet is described by its mean score and its mean appearance.
4. Tracklets link back to earlier ones that look alike.             trajectories.py
5. The trees of these links are cut into trajectories.
6. Trajectories are ranked, and the best are kept.
Where the authors' program departs from what it means, the function concerned says so. One thing
more: it paints the best object first, so that weaker ones cover it; painting.py begins with the
weakest. The object-level mask has no part in this method, unless proposals are made of it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from densevos.data.foreground.flow import Flow, dis_flow
from densevos_eval.zeroshot.linking.embedding import Embedding, colour
from densevos_eval.zeroshot.linking.track import MOST_TRACKS, FrameProposals, PackedMask, Track
from densevos_eval.zeroshot.linking.tracklets import Tracklet, tracklets
from densevos_eval.zeroshot.linking.trajectories import Path, importance, merge_links, trajectories


@dataclass(frozen=True, kw_only=True)
class UnOVOST:
    """A `Linker` that joins proposals by overlap and what that leaves by appearance."""

    clip_iou: float = 0.2
    """Of two proposals of a frame that overlap by this IoU or more, the better is kept."""
    flow_iou: float = 0.05
    """Proposals of neighbouring frames are joined where their IoU after warping is above this."""
    most_tracks: int = MOST_TRACKS
    """Number of tracks that are kept."""
    embedding: Embedding = colour
    """How proposals look."""
    flow: Flow = dis_flow
    """Optical flow that warps masks."""

    def __call__(self, frames: Iterable[FrameProposals]) -> list[Track]:
        """Tracks of the video, the most important first; the frames are looked at once."""
        found, count = tracklets(
            frames,
            clip_iou=self.clip_iou,
            flow_iou=self.flow_iou,
            embedding=self.embedding,
            flow=self.flow,
        )
        paths = trajectories(found, merge_links(found), count)
        ranked = ranking(found, paths)[: self.most_tracks]

        return [
            Track(id=rank, score=importance(found, path), masks=_masks(found, path))
            for rank, path in enumerate(ranked, start=1)
        ]


def ranking(tracklets: Sequence[Tracklet], paths: Iterable[Path]) -> list[Path]:
    """The trajectories, the most important first; of equal ones, the earlier."""
    return sorted(paths, key=lambda path: (-importance(tracklets, path), path))


def _masks(tracklets: Sequence[Tracklet], path: Path) -> dict[int, PackedMask]:
    """The masks of a trajectory by frame."""
    masks: dict[int, PackedMask] = {}
    for index in path:
        masks.update(enumerate(tracklets[index].masks, start=tracklets[index].start))

    return masks
