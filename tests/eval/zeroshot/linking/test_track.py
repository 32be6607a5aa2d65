"""A track and the masks it keeps."""

import numpy as np

from densevos_eval.zeroshot.linking.track import PackedMask, Track


def test_a_packed_mask_is_the_mask_again() -> None:
    mask = np.random.default_rng(0).random((7, 13)) > 0.5
    assert np.array_equal(PackedMask.of(mask).mask(), mask)


def test_a_track_begins_and_ends_with_its_masks() -> None:
    mask = PackedMask.of(np.ones((2, 2), bool))
    track = Track(id=1, score=0.5, masks={4: mask, 2: mask, 9: mask})
    assert (track.first, track.last) == (2, 9)
