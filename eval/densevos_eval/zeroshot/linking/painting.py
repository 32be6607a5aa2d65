"""Converts tracks to masks of ids, and to rows of a table."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from densevos_eval.zeroshot.linking.track import Track


def painted(tracks: Iterable[Track], index: int, size: tuple[int, int]) -> np.ndarray:
    """Draw the ids of the tracks in one frame.

    Args:
        tracks: tracks of a video. If some overlap, the most important one, with the smallest id,
            covers the others.
        index: index of the frame.
        size: height and width of the frame in pixels.

    Returns:
        Ids [H,W] uint8; 0 is background.
    """
    ids = np.zeros(size, np.uint8)
    # The most important track is drawn last.
    for track in sorted(tracks, key=lambda track: -track.id):
        if index in track.masks:
            ids[track.masks[index].mask()] = track.id

    return ids


def track_rows(tracks: Iterable[Track], frame_names: Sequence[str]) -> list[dict[str, Any]]:
    """Describe each track for JSON.

    Args:
        tracks: tracks of a video.
        frame_names: names of all frames of the video.

    Returns:
        One row per track: id, names of its first and last frame, number of masks, and score.
    """
    rows = []
    for track in tracks:
        row = {
            "id": track.id,
            "first_frame": frame_names[track.first],
            "last_frame": frame_names[track.last],
            "masks": len(track.masks),  # Fewer than the frames between if the object was hidden.
            "score": round(track.score, 4),
        }
        rows.append(row)

    return rows
