"""Tracks on the canvas and in the table."""

import numpy as np

from densevos_eval.zeroshot.linking.painting import painted, track_rows
from densevos_eval.zeroshot.linking.track import PackedMask, Track


def stripe(start: int, stop: int) -> PackedMask:
    mask = np.zeros((1, 6), bool)
    mask[:, start:stop] = True
    return PackedMask.of(mask)


def test_the_more_important_track_is_seen_whatever_the_order() -> None:
    tracks = [Track(id=id, score=1 / id, masks={0: stripe(id, id + 3)}) for id in (1, 2, 3)]
    for order in (tracks, tracks[::-1]):
        assert painted(order, 0, (1, 6)).tolist() == [[0, 1, 1, 1, 2, 3]]


def test_a_frame_without_tracks_is_background() -> None:
    assert painted([], 0, (2, 3)).tolist() == [[0, 0, 0], [0, 0, 0]]
    assert not painted([Track(id=1, score=1, masks={1: stripe(0, 2)})], 0, (1, 6)).any()


def test_rows_name_the_frames() -> None:
    track = Track(id=1, score=2.34567, masks={2: stripe(0, 1), 1: stripe(0, 1)})
    assert track_rows([track], ["a", "b", "c"]) == [
        {"id": 1, "first_frame": "b", "last_frame": "c", "masks": 2, "score": 2.3457}
    ]
    assert track_rows([], []) == []
