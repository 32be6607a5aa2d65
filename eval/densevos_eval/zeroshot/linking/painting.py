"""Tracks as masks of ids and as rows of a table."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from densevos_eval.zeroshot.linking.track import Track


def painted(tracks: Iterable[Track], index: int, size: tuple[int, int]) -> np.ndarray:
    """The ids of the tracks in one frame; where tracks overlap, the most important one is seen.

    Args:
        tracks: Tracks of a video; the smaller the id, the more important.
        index: Index of the frame.
        size: Height and width of the frame in pixels.

    Returns:
        Ids [H,W] uint8; 0 is background.
    """
    ids = np.zeros(size, np.uint8)
    for track in sorted(tracks, key=lambda track: -track.id):
        if index in track.masks:
            ids[track.masks[index].mask()] = track.id

    return ids


def track_rows(tracks: Iterable[Track], frame_names: Sequence[str]) -> list[dict[str, Any]]:
    """One row a track for JSON: id, names of its first and last frame, number of its masks, and
    score.
    """
    return [
        {
            "id": track.id,
            "first_frame": frame_names[track.first],
            "last_frame": frame_names[track.last],
            "masks": len(track.masks),
            "score": round(track.score, 4),
        }
        for track in tracks
    ]
