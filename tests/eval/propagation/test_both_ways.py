"""The order of frames around given masks, and what a changed mask can reach."""

import doctest
from itertools import combinations

import pytest

from densevos_eval.propagation import both_ways
from densevos_eval.propagation.both_ways import affected, plan

FRAMES = 6


def test_every_frame_is_written_once_whatever_frames_have_masks() -> None:
    for count in range(1, FRAMES + 1):
        for given in combinations(range(FRAMES), count):
            spans = plan(given, FRAMES)
            assert sorted(frame for span in spans for frame in span.written) == list(range(FRAMES))
            assert {span.start for span in spans} == {min(given)}


def test_a_mask_of_frame_0_is_followed_forward_only() -> None:
    assert [list(span.frames) for span in plan([3, 0], FRAMES)] == [[0, 1, 2, 3, 4, 5]]


def test_the_way_back_starts_from_the_given_frame_too() -> None:
    forward, backward = plan([5, 2], FRAMES)
    assert list(forward.frames) == [2, 3, 4, 5]
    assert list(backward.frames) == [2, 1, 0]


def test_without_masks_there_is_no_way() -> None:
    assert plan([], FRAMES) == ()


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ({0: "a", 3: "b"}, {0: "a", 3: "c"}, 3),
        ({0: "a"}, {0: "a", 3: "c"}, 3),
        ({0: "a", 3: "b", 5: "d"}, {0: "a", 5: "e"}, 3),
        ({2: "a", 4: "b"}, {2: "a"}, 4),
        ({2: "a"}, {2: "b"}, 0),
        ({2: "a"}, {1: "b", 2: "a"}, 0),
        ({2: "a", 4: "b"}, {4: "b"}, 0),
        ({2: "a"}, {2: "a"}, FRAMES),
    ],
)
def test_a_change_reaches_the_frames_from_it_on_and_one_of_the_first_mask_all(
    old: dict[int, str], new: dict[int, str], first: int
) -> None:
    assert list(affected(old, new, FRAMES)) == list(range(first, FRAMES))


def test_examples() -> None:
    assert doctest.testmod(both_ways).failed == 0
