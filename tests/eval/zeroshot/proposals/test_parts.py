"""Connected parts of a foreground."""

import numpy as np

from densevos_eval.zeroshot.proposals.parts import Parts


def test_parts_are_connected_and_large_enough() -> None:
    foreground = np.zeros((50, 40), np.float32)
    foreground[2:10, 2:10] = 0.8
    foreground[10:14, 10:14] = 0.8  # touches at a corner
    foreground[30:40, 20:30] = 0.6
    foreground[45, 5] = 0.9  # one of 2000 pixels
    foreground[20:28, 20:30] = 0.4
    large, other = Parts()(np.zeros((50, 40, 3), np.uint8), foreground)
    assert int(large.mask.sum()) == 80
    assert np.isclose(large.score, 0.8)
    assert np.array_equal(other.mask, np.isclose(foreground, 0.6))
    assert np.isclose(other.score, 0.6)


def test_no_foreground_has_no_parts() -> None:
    assert Parts()(np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.float32)) == []
