"""Tracks of hand-made masks whose answer is known."""

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos_eval.zeroshot.linking.association import Association, kept
from densevos_eval.zeroshot.linking.track import MOST_TRACKS, FrameProposals, Track
from densevos_eval.zeroshot.proposals.proposal import Proposal

HEIGHT, WIDTH = 40, 60


def square(left: int, top: int = 10, side: int = 10) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[max(top, 0) : top + side, max(left, 0) : left + side] = True
    return mask


def still(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A flow of zero."""
    return np.zeros((*a.shape[:2], 2), np.float32)


def shown(
    *masks: np.ndarray, scores: tuple[float, ...] = (), foreground: np.ndarray | None = None
) -> FrameProposals:
    """A frame with these proposals, whose foreground is their union unless given."""
    union = np.any(masks, axis=0) if masks else np.zeros((HEIGHT, WIDTH), bool)
    scored = zip(masks, scores or [0.9] * len(masks), strict=True)
    return FrameProposals(
        frame=np.zeros((HEIGHT, WIDTH, 3), np.uint8),
        foreground=union if foreground is None else foreground,
        proposals=[Proposal(mask=mask, score=score) for mask, score in scored],
    )


def lefts(track: Track) -> dict[int, int]:
    """The leftmost column of the track in each frame."""
    return {index: int(packed.mask().any(0).argmax()) for index, packed in track.masks.items()}


def linked(*frames: FrameProposals, **settings: object) -> list[Track]:
    return Association(**{"flow": still, **settings})(iter(frames))  # type: ignore[arg-type]


def test_a_square_that_moves_slowly_is_one_track() -> None:
    (track,) = linked(*(shown(square(10 + 2 * t)) for t in range(5)))
    assert (track.id, track.first, track.last) == (1, 0, 4)
    assert lefts(track) == {t: 10 + 2 * t for t in range(5)}
    assert track.score == pytest.approx(5 * 0.9 * 5)


def test_squares_that_cross_keep_their_identity_by_flow() -> None:
    """One moves right, one left, 10 pixels a frame; only the flow tells that they do not turn
    back.
    """
    right, left = [0, 10, 20, 30, 40], [45, 35, 25, 15, 5]
    top, low = 8, 13
    calls = iter(range(1, 5))

    def crossing(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Backward flow, known where only one of them is."""
        t = next(calls)
        flow = np.zeros((HEIGHT, WIDTH, 2), np.float32)
        flow[square(right[t], top), 0] = -10
        flow[square(left[t], low), 0] = 10
        return flow

    frames = [shown(square(x, top), square(y, low)) for x, y in zip(right, left, strict=True)]
    first, second = linked(*frames, flow=crossing)
    assert lefts(first) == dict(enumerate(right))
    assert lefts(second) == dict(enumerate(left))


def test_the_flow_is_asked_for_from_a_frame_to_the_one_before() -> None:
    asked = []

    def noted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        asked.append((int(a[0, 0, 0]), int(b[0, 0, 0])))
        return still(a, b)

    frames = [shown(square(10)) for _ in range(3)]
    for t, frame in enumerate(frames):
        frame.frame[:] = t
    linked(*frames, flow=noted)
    assert asked == [(1, 0), (2, 1)]


def test_the_pairs_with_the_least_cost_in_all_win_over_the_best_single_pair() -> None:
    """Greedy pairing would join the old right square to the new left one (IoU .54), and lose the
    other pair.
    """
    before, after = (square(10), square(16)), (square(13), square(25))
    first, second = linked(shown(*before), shown(*after), shortest=1, least_iou=0.05)
    assert lefts(first) == {0: 10, 1: 13}
    assert lefts(second) == {0: 16, 1: 25}


def test_a_gap_is_bridged_and_stays_in_the_foreground() -> None:
    half = square(10)
    half[:, 15:] = False
    frames = [shown(square(10)), shown(foreground=half), shown(foreground=half), shown(square(10))]
    (track,) = linked(*frames)
    assert sorted(track.masks) == [0, 1, 2, 3]
    assert np.array_equal(track.masks[1].mask(), half)
    assert np.array_equal(track.masks[3].mask(), square(10))
    assert track.score == pytest.approx(2 * 0.9 * 4)


@pytest.mark.parametrize(("gap", "count"), [(5, 1), (6, 2)])
def test_five_missed_frames_are_bridged_and_six_are_not(gap: int, count: int) -> None:
    """In frames without any foreground an object is unseen."""
    seen = [shown(square(10))] * 3
    tracks = linked(*seen, *[shown()] * gap, *seen)
    assert len(tracks) == count
    assert sorted(tracks[0].masks) == [*range(3), *(range(3 + gap, 6 + gap) if count == 1 else ())]


def test_short_tracks_are_dropped_but_not_of_a_short_video() -> None:
    blink = shown(square(5), square(40))
    alone = shown(square(5))
    assert [lefts(track) for track in linked(alone, blink, alone, alone, most_missed=0)] == [
        dict.fromkeys(range(4), 5)
    ]
    assert len(linked(blink)) == 2  # a video of one frame
    assert len(linked(blink, blink)) == 2


def test_no_frames_and_no_objects_give_no_tracks() -> None:
    assert linked() == []
    assert linked(shown(), shown(), shown()) == []


def test_tracks_are_ranked_by_score_times_length() -> None:
    sure, long = square(5), square(40)
    frames = [shown(sure, long, scores=(0.9, 0.4))] * 3 + [shown(long, scores=(0.4,))] * 5
    first, second = linked(*frames, most_missed=0)
    assert lefts(first)[0] == 40  # 8 frames of .4: 25.6
    assert first.score == pytest.approx(8 * 0.4 * 8)
    assert second.score == pytest.approx(3 * 0.9 * 3)


def test_at_most_twenty_tracks_are_kept_the_best_ones() -> None:
    small = [square(2 + 6 * column, 2 + 9 * row, side=4) for row in range(3) for column in range(9)]
    scores = tuple(0.3 + 0.02 * number for number in range(len(small)))
    tracks = linked(*[shown(*small, scores=scores)] * 3)
    assert [track.id for track in tracks] == list(range(1, MOST_TRACKS + 1))
    assert [track.score for track in tracks] == pytest.approx(
        [9 * score for score in scores[::-1][:20]]
    )


def test_foreground_that_nothing_explains_is_an_object_of_its_own() -> None:
    known, unknown = square(5), square(40)
    tracks = linked(*[shown(known, foreground=known | unknown)] * 10)
    assert [lefts(track)[0] for track in tracks] == [5, 40]
    assert len(tracks[1].masks) == 10  # one track, not a new one every few frames
    assert tracks[1].score < tracks[0].score


def test_little_foreground_goes_to_the_nearest_track() -> None:
    left, right, dot = square(5), square(40), square(20, side=3)
    tracks = linked(*[shown(left, right, foreground=left | right | dot)] * 3)
    union = {True: left | dot, False: right}
    for track in tracks:
        assert np.array_equal(track.masks[1].mask(), union[lefts(track)[1] == 5])


def test_proposals_are_filtered_by_the_foreground() -> None:
    foreground = np.zeros((HEIGHT, WIDTH), bool)
    foreground[:, :30] = True
    frame = shown(square(21), square(24), square(26), square(5, side=1), foreground=foreground)
    inside = kept(frame, Association(most_overlap=1.0))
    # 90 % inside: as it is. 60 %: cut. 40 % inside, and a pixel (below .1 % of the frame): left
    # out.
    assert [int(proposal.mask.sum()) for proposal in inside] == [100, 60]


def test_of_proposals_that_overlap_the_one_with_the_higher_score_stays() -> None:
    frame = shown(square(10), square(12), square(30), scores=(0.5, 0.7, 0.2))
    assert [proposal.score for proposal in kept(frame, Association())] == [0.7, 0.2]


def test_objects_that_touch_stay_two_where_both_were_known() -> None:
    """Two squares meet and are one proposal for longer than a gap is bridged."""
    left, right = square(10), square(30)
    apart = shown(left, right)
    lefts_of = [15 + t for t in range(8)]
    together = [shown(square(x) | square(x + 10)) for x in lefts_of]
    for x, frame in zip(lefts_of, together, strict=True):
        frame.frame[:] = x

    def to_the_right(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Backward flow: 5 pixels towards each other where they meet, then one to the right in each
        frame.
        """
        flow = still(a, b)
        place = int(a[0, 0, 0])
        if place == 15:
            flow[:, :25, 0], flow[:, 25:, 0] = -5, 5
        elif place > 15:
            flow[..., 0] = -1
        return flow

    frames = [apart] * 3 + together
    first, second = linked(*frames, flow=to_the_right)
    assert lefts(first) == {**dict.fromkeys(range(3), 10), **{3 + t: 15 + t for t in range(8)}}
    assert lefts(second) == {**dict.fromkeys(range(3), 30), **{3 + t: 25 + t for t in range(8)}}
    assert all(
        int(packed.mask().sum()) == 100
        for packed in (*first.masks.values(), *second.masks.values())
    )
    blob = max(
        linked(*frames, flow=to_the_right, divided=False),
        key=lambda track: track.masks[5].mask().sum(),
    )
    assert int(blob.masks[5].mask().sum()) == 200


def test_a_proposal_is_not_divided_among_parts_of_the_object_that_it_is() -> None:
    whole, part = square(10, side=20), square(12, 12, side=12)
    frames = [shown(whole, part)] * 3 + [shown(whole, foreground=whole)]
    tracks = linked(*frames)
    assert np.array_equal(tracks[0].masks[3].mask(), whole)


def test_appearance_decides_where_overlap_does_not() -> None:
    """Two squares change places: each overlaps both of the frame before alike."""
    before = shown(square(10, 10), square(20, 10))
    after = shown(square(15, 5), square(15, 15))

    def colours(frame: np.ndarray, masks: np.ndarray) -> np.ndarray:
        """The square on the right, later the upper one, is red."""
        red = [mask[:, 25:].any() or mask[:8].any() for mask in masks]
        return np.array([(1.0, 0.0) if is_red else (0.0, 1.0) for is_red in red])

    for track in linked(before, after, embedding=colours, shortest=1):
        tops = {index: int(packed.mask().any(1).argmax()) for index, packed in track.masks.items()}
        assert tops[1] == (5 if lefts(track)[0] == 20 else 15)


def test_frames_of_another_size_are_refused() -> None:
    other = FrameProposals(
        frame=np.zeros((20, 30, 3), np.uint8), foreground=np.zeros((20, 30), bool), proposals=[]
    )
    with pytest.raises(InputError, match="30x20 and 60x40 pixels"):
        Association()([shown(square(10)), other])


def test_real_flow_follows_a_textured_square() -> None:
    """DIS finds the shift of 6 pixels a frame, more than half of the square."""
    rng = np.random.default_rng(0)
    big = np.kron(rng.integers(0, 255, (24, 32, 3), np.uint8), np.ones((5, 5, 1), np.uint8))
    frames = []
    for t in range(4):
        mask = np.zeros((120, 160), bool)
        mask[40:64, 20 + 16 * t : 44 + 16 * t] = True
        picture = np.full((120, 160, 3), 90, np.uint8)
        picture[mask] = big[:24, :24].reshape(-1, 3)
        frames.append(
            FrameProposals(
                frame=picture, foreground=mask, proposals=[Proposal(mask=mask, score=0.9)]
            )
        )
    (track,) = Association()(frames)
    assert lefts(track) == {t: 20 + 16 * t for t in range(4)}
