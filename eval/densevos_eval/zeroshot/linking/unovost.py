"""UnOVOST (Luiten, Zulfikar, Leibe, WACV 2020): joins the proposals of a whole video to tracks.

1. Drop proposals of a frame that overlap a better one (tracklets.py, as steps 2 and 3).
2. Join proposals of neighbouring frames that overlap after warping to tracklets.
3. Describe a tracklet by its mean score and its mean appearance.
4. Link tracklets back to earlier ones of similar appearance (trajectories.py, as steps 5 and 6).
5. Cut the trees of these links into trajectories.
6. Rank the trajectories, and keep the best.

The released program departs from the paper in places; the docstrings of the functions concerned
describe how. One more place: the program draws the best object first, so that worse ones cover it,
and painting.py draws the best one last. The method does not use the object-level mask, unless
proposals are made from it.
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
    """A `Linker` that joins proposals by overlap to tracklets, and tracklets by appearance."""

    clip_iou: float = 0.2
    """Of two proposals of a frame that overlap by this IoU or more, the better one is kept."""
    flow_iou: float = 0.05
    """Proposals of neighbouring frames are joined if their IoU after warping is above this."""
    most_tracks: int = MOST_TRACKS
    """Largest number of tracks to keep."""
    embedding: Embedding = colour
    """Appearance of proposals."""
    flow: Flow = dis_flow
    """Optical flow that warps masks."""

    def __call__(self, frames: Iterable[FrameProposals]) -> list[Track]:
        """Join the proposals of a video to tracks.

        Args:
            frames: all frames in order; each is read once.

        Returns:
            The tracks, the most important first.
        """
        # Steps 1 to 3.
        parts, count = tracklets(
            frames,
            clip_iou=self.clip_iou,
            flow_iou=self.flow_iou,
            embedding=self.embedding,
            flow=self.flow,
        )
        # Steps 4 and 5.
        paths = trajectories(parts, merge_links(parts), count)
        # Step 6.
        ranked = ranking(parts, paths)[: self.most_tracks]

        tracks = []
        for rank, path in enumerate(ranked, start=1):
            score = importance(parts, path)
            tracks.append(Track(id=rank, score=score, masks=_masks(parts, path)))

        return tracks


def ranking(tracklets: Sequence[Tracklet], paths: Iterable[Path]) -> list[Path]:
    """Sort trajectories by importance, highest first; of equal ones the earlier comes first.

    Args:
        tracklets: all tracklets of a video.
        paths: the trajectories.
    """
    # Paths are tuples of indices, which increase with the first frame of a tracklet.
    return sorted(paths, key=lambda path: (-importance(tracklets, path), path))


def _masks(tracklets: Sequence[Tracklet], path: Path) -> dict[int, PackedMask]:
    """Frame index -> mask of a trajectory."""
    masks: dict[int, PackedMask] = {}
    for index in path:
        masks.update(enumerate(tracklets[index].masks, start=tracklets[index].start))

    return masks
