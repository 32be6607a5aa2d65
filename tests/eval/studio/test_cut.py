"""The mask of an object from clicks, a box and strokes."""

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos_eval.studio.cut import cut, painted
from densevos_eval.studio.marks import Box, Clear, Click, Stroke, parse_marks
from tests.eval.studio.clips import HEIGHT, WIDTH, disc, frame, square

SIZE = (HEIGHT, WIDTH)


def overlap(mask: np.ndarray, truth: np.ndarray) -> float:
    return float((mask & truth).sum() / (mask | truth).sum())


def test_a_click_finds_a_disc() -> None:
    assert overlap(cut(frame(0), [Click(place=(24, 30))]), disc(0)) > 0.9


def test_a_box_finds_a_square_whichever_way_it_is_drawn() -> None:
    box = cut(frame(0), [Box(corners=((66, 46), (90, 70)))])
    assert overlap(box, square(0)) > 0.9
    assert (cut(frame(0), [Box(corners=((90, 46), (66, 70)))]) == box).all()


def test_a_click_beside_the_object_only_takes_away_and_one_on_it_only_adds() -> None:
    both = disc(0) | square(0)
    less = cut(frame(0), [Click(place=(78, 58), adds=False)], both)
    assert (less <= both).all()
    assert overlap(less, disc(0)) > 0.9
    more = cut(frame(0), [Click(place=(78, 58))], disc(0))
    assert (more >= disc(0)).all()
    assert overlap(more, both) > 0.9


def test_strokes_paint_and_erase_exactly_where_they_are() -> None:
    stroke = Stroke(places=((10, 10), (30, 10)), radius=4)
    mask = cut(frame(0), [stroke])
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (6, 14)
    assert (columns.min(), columns.max()) == (6, 34)
    assert not painted(mask, Stroke(places=stroke.places, radius=6, adds=False)).any()


def test_clear_forgets_what_was_there() -> None:
    assert not cut(frame(0), [Click(place=(24, 30)), Clear()], square(0)).any()


def test_large_frames_are_cut_in_a_small_window_and_masks_keep_their_size() -> None:
    large = frame(0).repeat(20, 0).repeat(20, 1)
    mask = cut(large, [Click(place=(24 * 20, 30 * 20))])
    assert overlap(mask, disc(0).repeat(20, 0).repeat(20, 1)) > 0.85


def test_marks_of_a_page() -> None:
    values = [
        {"kind": "click", "x": 3, "y": 4.5, "adds": False},
        {"kind": "box", "places": [[-5, 0], [1e9, 20]]},
        {"kind": "brush", "places": [[1, 2]], "radius": 3},
        {"kind": "clear"},
    ]
    assert parse_marks(values, SIZE) == [
        Click(place=(3, 4.5), adds=False),
        Box(corners=((0, 0), (WIDTH - 1, 20))),
        Stroke(places=((1, 2),), radius=3),
        Clear(),
    ]


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        ["click"],
        [{"kind": "spray"}],
        [{"kind": "click", "x": "3", "y": 4}],
        [{"kind": "click", "x": float("nan"), "y": 4}],
        [{"kind": "click", "x": True, "y": 4}],
        [{"kind": "box", "places": [[0, 0]]}],
        [{"kind": "brush", "places": [], "radius": 3}],
        [{"kind": "brush", "places": [[0, 0]]}],
        [{"kind": "clear"}] * 3000,
    ],
)
def test_other_values_are_no_marks(values: object) -> None:
    with pytest.raises(InputError, match=r"^marks: "):
        parse_marks(values, SIZE)
