"""UnOVOST on hand-made proposals and tracklets whose answer is known, against plain formulations,
and by properties.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from densevos.base.errors import InputError
from densevos_eval.zeroshot.linking import trajectories as forest
from densevos_eval.zeroshot.linking.painting import painted
from densevos_eval.zeroshot.linking.track import FrameProposals, PackedMask, Track
from densevos_eval.zeroshot.linking.tracklets import Tracklet, non_overlapping, tracklets
from densevos_eval.zeroshot.linking.unovost import UnOVOST, ranking
from densevos_eval.zeroshot.proposals.proposal import Proposal

HEIGHT, WIDTH = 24, 40
DOT = PackedMask.of(np.ones((1, 1), bool))

Box = tuple[int, int, int, int]


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


def proposal(place: Box, score: float = 0.5) -> Proposal:
    return Proposal(mask=box(*place), score=score)


def frame(*proposals: Proposal, colours: bool = True) -> FrameProposals:
    """A frame in which every proposal has a grey of its own, by its score."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for one in proposals if colours else ():
        picture[one.mask] = round(255 * one.score)
    return FrameProposals(
        frame=picture, foreground=np.ones((HEIGHT, WIDTH), bool), proposals=proposals
    )


def still(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Flow of what does not move."""
    return np.zeros((*a.shape[:2], 2), np.float32)


def joined(*frames: FrameProposals, flow_iou: float = 0.05) -> list[tuple[int, int]]:
    """First and last frame of every tracklet."""
    found, count = tracklets(frames, clip_iou=0.2, flow_iou=flow_iou, embedding=greys, flow=still)
    assert count == len(frames)
    return [(one.start, one.end) for one in found]


def greys(picture: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """An embedding: the mean grey as an angle."""
    angles = np.array([picture[mask].mean() / 255 for mask in masks])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def tracklet(start: int, end: int, look: float, score: float = 0.5) -> Tracklet:
    """One whose look is a point of a line, so that distances can be worked out by hand."""
    return Tracklet(
        start=start, masks=(DOT,) * (end - start + 1), score=score, appearance=np.array([look])
    )


# Step 1: proposals that do not overlap


def test_of_overlapping_proposals_the_best_are_kept_in_any_order() -> None:
    first = proposal((0, 0, 4, 10), 0.9)
    second = proposal((0, 5, 4, 10), 0.8)  # overlaps both others by 20 of 60 pixels
    third = proposal((0, 10, 4, 10), 0.7)
    for order in permutations((first, second, third)):
        assert non_overlapping(order, 0.2) == [first, third]


def test_the_limit_of_overlap_is_too_much() -> None:
    at_limit = [proposal((0, 0, 1, 6), 0.9), proposal((0, 4, 1, 6), 0.8)]  # 2 of 10 pixels
    assert non_overlapping(at_limit, 0.2) == at_limit[:1]
    assert non_overlapping(at_limit, 0.21) == at_limit


def test_empty_masks_are_no_proposals_and_of_equal_scores_the_larger_counts() -> None:
    small, large = proposal((0, 0, 2, 2)), proposal((0, 0, 3, 3))
    assert non_overlapping([proposal((0, 0, 0, 0), 0.99), small, large], 0.2) == [large]
    assert non_overlapping([], 0.2) == []


boxes = st.tuples(st.integers(0, 16), st.integers(0, 30), st.integers(1, 8), st.integers(1, 10))
scores = st.sampled_from((0.1, 0.5, 0.5000001, 0.9, 1.0))
proposal_lists = st.lists(st.builds(proposal, boxes, scores), max_size=7)


@given(proposal_lists)
def test_what_is_kept_does_not_overlap_and_what_is_dropped_does(proposals: list[Proposal]) -> None:
    kept = non_overlapping(proposals, 0.2)
    assert all(plain_iou(a.mask, b.mask) < 0.2 for a, b in combinations(kept, 2))
    for one in proposals:
        is_kept = any(one is other for other in kept)
        assert is_kept or any(
            other.score >= one.score and plain_iou(one.mask, other.mask) >= 0.2 for other in kept
        )


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


# Step 2: tracklets


def test_tracklets_go_on_while_proposals_overlap() -> None:
    here, elsewhere = (2, 2, 6, 6), (14, 20, 6, 6)
    found = joined(
        frame(proposal(here, 0.9)),
        frame(proposal(elsewhere, 0.8), proposal(here, 0.9)),
        frame(proposal(elsewhere, 0.8)),
        frame(),
        frame(proposal(elsewhere, 0.8)),
    )
    assert found == [
        (0, 1),
        (1, 2),
        (4, 4),
    ]  # a frame without proposals ends all; the last frame begins one


def test_overlap_at_the_limit_does_not_join() -> None:
    before, after = frame(proposal((0, 0, 1, 6))), frame(proposal((0, 4, 1, 6)))  # IoU 2 / 10
    assert joined(before, after, flow_iou=0.2) == [(0, 0), (1, 1)]
    assert joined(before, after, flow_iou=0.19) == [(0, 1)]


def test_assignment_is_best_for_all_together() -> None:
    """The pair that overlaps most is not joined where two other pairs overlap more in sum."""
    before = frame(proposal((0, 0, 1, 10), 0.9), proposal((0, 10, 1, 4), 0.8))
    after = frame(proposal((0, 4, 1, 10), 0.9), proposal((0, 0, 1, 4), 0.8))
    # IoU 6/14 and 4/10; 4/10 and 0: greedy takes 6/14 and leaves 0, together 4/10 + 4/10 are
    # better.
    assert joined(before, after) == [(0, 1), (0, 1)]


def test_masks_are_warped_before_they_are_compared() -> None:
    def to_the_left(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return still(a, b) + np.float32(
            (-20, 0)
        )  # what is at x of a frame was at x - 20 of the frame before

    frames = [frame(proposal((2, 2, 6, 6))), frame(proposal((2, 22, 6, 6)))]
    found, _ = tracklets(frames, clip_iou=0.2, flow_iou=0.05, embedding=greys, flow=to_the_left)
    assert [(one.start, one.end) for one in found] == [(0, 1)]


def test_a_tracklet_has_the_mean_score_and_look_of_its_proposals() -> None:
    place = (2, 2, 6, 6)
    frames = [frame(proposal(place, 0.2)), frame(proposal(place, 0.6))]
    (one,), _ = tracklets(frames, clip_iou=0.2, flow_iou=0.05, embedding=greys, flow=still)
    assert one.score == pytest.approx(0.4)
    assert one.appearance == pytest.approx(
        np.array([np.cos((0.2, 0.6)).mean(), np.sin((0.2, 0.6)).mean()]), rel=1e-6
    )
    assert [np.array_equal(mask.mask(), box(*place)) for mask in one.masks] == [True, True]


# Step 4: links


def test_a_tracklet_continues_the_most_alike_of_those_that_ended_before() -> None:
    found = [tracklet(0, 3, 1.0), tracklet(0, 4, 5.0), tracklet(4, 6, 4.0), tracklet(7, 8, 4.1)]
    # The third starts in the frame in which the second ends, so that only the first is left for it.
    assert forest.merge_links(found) == [None, None, 0, 2]


def test_of_a_chain_the_last_is_continued_although_its_first_is_more_alike() -> None:
    found = [tracklet(0, 1, 0.0), tracklet(3, 4, 1.0), tracklet(6, 7, 0.2)]
    assert forest.merge_links(found) == [None, 0, 1]  # alone, 0 would be nearest to the third


def test_the_nearest_is_continued_where_the_second_nearest_follows_another() -> None:
    found = [tracklet(0, 1, 0.0), tracklet(0, 1, 9.0), tracklet(3, 4, 8.0), tracklet(6, 7, 3.0)]
    # 0 at 3 and 2 at 5 are nearest to the last, and 2 continues 1.
    assert forest.merge_links(found) == [None, None, 1, 0]


def test_a_chain_is_followed_to_its_tail() -> None:
    chain = [tracklet(0, 1, 0.0), tracklet(3, 4, 0.1), tracklet(6, 7, 9.0), tracklet(9, 10, 20.0)]
    other = tracklet(0, 1, -0.5)
    found = [chain[0], other, *chain[1:], tracklet(12, 13, 0.0)]
    # 0 and 2 are nearest to the last; from 2 on only the chain is followed, though `other` is
    # nearer than its tail.
    assert forest.merge_links(found) == [None, None, 0, 2, 3, 4]


def test_a_follower_that_has_not_ended_is_not_followed() -> None:
    found = [tracklet(0, 1, 0.0), tracklet(3, 4, 0.1), tracklet(6, 20, 0.1), tracklet(12, 13, 0.0)]
    assert forest.merge_links(found) == [None, 0, 1, 1]


# Step 5: trajectories


def test_chains_end_with_tracklets_that_none_continues() -> None:
    assert forest.chains([None, 0, 0, None, 1, 2]) == [(0, 1, 4), (0, 2, 5), (3,)]
    assert forest.chains([]) == []


def test_the_longest_chain_of_a_tree_is_a_path_and_the_rest_others() -> None:
    found = [tracklet(0, 4, 0.0), tracklet(6, 9, 0.0), tracklet(6, 15, 9.0), tracklet(17, 19, 9.0)]
    links = [None, 0, 0, 2]
    # (0, 1) covers 4 + 3 frames of 20, (0, 2, 3) covers 4 + 9 + 2: .9 * .75 + .1 * 1 against .9 *
    # .35 + .1 * 1.
    assert forest.trajectories(found, links, 20) == [(0, 2, 3), (1,)]


def test_likeness_decides_between_chains_of_one_length() -> None:
    found = [tracklet(0, 4, 0.0), tracklet(6, 9, 0.5), tracklet(6, 9, 1.0), tracklet(0, 9, 5.0)]
    assert forest.trajectories(found, [None, 0, 0, None], 10) == [(0, 1), (2,), (3,)]


def test_of_equal_chains_the_one_that_lasts_longer_is_taken() -> None:
    found = [tracklet(0, 4, 0.0), tracklet(6, 8, 1.0), tracklet(7, 9, -1.0)]
    assert forest.trajectories(found, [None, 0, 0], 10) == [(0, 2), (1,)]


def test_what_is_left_of_a_tree_is_clustered_anew_by_first_tracklet() -> None:
    """Two branches that share a stretch after the best path has gone stay together."""
    found = [
        tracklet(0, 9, 0.0),
        tracklet(11, 30, 1.0),  # the best path: 0, 1
        tracklet(11, 15, 2.0),  # 2 goes on as 3 and as 4
        tracklet(17, 20, 3.0),
        tracklet(17, 25, 3.0),
    ]
    assert forest.trajectories(found, [None, 0, 0, 2, 2], 31) == [(0, 1), (2, 4), (3,)]


def test_distances_are_scaled_by_the_largest_and_by_1_without_one() -> None:
    assert (
        forest.distance_scale([tracklet(0, 1, 2.0), tracklet(0, 1, 5.0), tracklet(3, 4, 4.0)]) == 3
    )
    assert forest.distance_scale([tracklet(0, 1, 2.0)]) == 1
    assert forest.distance_scale([tracklet(0, 1, 2.0)] * 2) == 1
    assert forest.distance_scale([]) == 1


# Step 6: ranking


def test_importance_is_the_mean_of_score_times_length_so_far() -> None:
    found = [tracklet(0, 1, 0.0, score=0.5), tracklet(3, 6, 0.0, score=1.0)]
    assert forest.importance(found, (0, 1)) == pytest.approx((0.5 * 2 + 1.0 * 6) / 2)
    assert ranking(found, [(0,), (1,)]) == [(1,), (0,)]


# Steps 4 and 5 against plain formulations


@st.composite
def tracklet_lists(draw: st.DrawFn) -> list[Tracklet]:
    starts = sorted(draw(st.lists(st.integers(0, 14), max_size=9)))
    looks = st.sampled_from((0.0, 0.25, 1.0, 1.5, 4.0))
    return [tracklet(start, start + draw(st.integers(0, 4)), draw(looks)) for start in starts]


@given(tracklet_lists())
def test_links_and_paths_are_those_of_a_plain_formulation(found: list[Tracklet]) -> None:
    links = forest.merge_links(found)
    assert links == plain_links(found)
    assert forest.trajectories(found, links, 20) == sorted(plain_paths(found, plain_chains(links)))


@given(tracklet_lists())
def test_every_tracklet_is_on_one_path_and_paths_go_forward(found: list[Tracklet]) -> None:
    paths = forest.trajectories(found, forest.merge_links(found), 20)
    assert sorted(index for path in paths for index in path) == list(range(len(found)))
    for path in paths:
        assert all(found[a].end < found[b].start for a, b in pairwise(path))


def plain_links(found: Sequence[Tracklet]) -> list[int | None]:
    links: dict[int, int | None] = {}

    def distance(a: int, b: int) -> float:
        return abs(found[a].appearance[0] - found[b].appearance[0])

    def ask(index: int, ended: list[int], among: list[int]) -> int:
        order = sorted(among, key=lambda one: distance(index, one))
        if len(order) > 1 and links[order[1]] == order[0]:
            return ask(
                index, ended, sorted([order[1], *(k for k in ended if links[k] == order[1])])
            )
        return order[0]

    for index, one in enumerate(found):
        ended = [k for k in range(index) if found[k].end < one.start]
        links[index] = ask(index, ended, ended) if ended else None
    return [links[index] for index in range(len(found))]


def plain_chains(links: Sequence[int | None]) -> list[list[int]]:
    def way(index: int) -> list[int]:
        parent = links[index]
        return [*(way(parent) if parent is not None else []), index]

    return [way(index) for index in range(len(links)) if index not in links]


def plain_paths(found: Sequence[Tracklet], ways: list[list[int]]) -> Iterator[tuple[int, ...]]:
    looks = [one.appearance[0] for one in found]
    scale = max((abs(a - b) for a in looks for b in looks), default=0) or 1

    def good(way: list[int]) -> tuple[float, int]:
        cover = sum(found[k].end - found[k].start for k in way) / 20
        alike = [1 - abs(looks[a] - looks[b]) / scale for a, b in combinations(way, 2)]
        return 0.9 * cover + 0.1 * max(alike, default=0), found[way[-1]].end

    for first in sorted({way[0] for way in ways}):
        cluster = sorted(way for way in ways if way[0] == first)
        best = max(cluster, key=good)
        yield tuple(best)
        yield from plain_paths(
            found, [[k for k in way if k not in best] for way in cluster if way != best]
        )


# All steps


def test_an_object_that_is_hidden_for_a_while_is_one_track() -> None:
    """Two objects; the light one is away in frames 2 and 3, and comes back elsewhere."""
    dark = proposal((16, 2, 6, 6), 0.3)
    light, light_again = proposal((2, 2, 6, 6), 0.9), proposal((2, 30, 6, 6), 0.9)
    frames = [
        frame(dark, light),
        frame(dark, light),
        frame(dark),
        frame(dark),
        frame(dark, light_again),
    ]
    first, second = UnOVOST(embedding=greys, flow=still)(iter(frames))

    assert (first.id, sorted(first.masks)) == (1, [0, 1, 4])
    assert (second.id, sorted(second.masks)) == (2, [0, 1, 2, 3, 4])
    assert first.score == pytest.approx((0.9 * 2 + 0.9 * 3) / 2)
    assert second.score == pytest.approx(0.3 * 5)
    assert np.array_equal(first.masks[4].mask(), light_again.mask)


def test_the_more_important_object_is_painted_over_others() -> None:
    """The proposals overlap by less than is too much, so that both stay."""
    strong, weak = proposal((2, 2, 8, 8), 0.9), proposal((8, 8, 8, 8), 0.4)
    tracks = UnOVOST(embedding=greys, flow=still)([frame(weak, strong)])
    ids = painted(tracks, 0, (HEIGHT, WIDTH))
    assert (ids[strong.mask] == 1).all()
    assert (ids[weak.mask & ~strong.mask] == 2).all()
    assert (ids == 0).sum() == HEIGHT * WIDTH - 64 - 64 + 4


def test_no_objects_make_no_tracks() -> None:
    assert UnOVOST()([]) == []
    assert UnOVOST()([frame(), frame()]) == []
    assert UnOVOST()([frame(proposal((0, 0, 0, 0)))]) == []


@pytest.mark.parametrize("frames", [1, 3])
def test_one_object_makes_one_track(frames: int) -> None:
    (only,) = UnOVOST()([frame(proposal((2, 2, 12, 12)))] * frames)
    assert (only.id, only.first, only.last) == (1, 0, frames - 1)
    assert only.score == pytest.approx(0.5 * frames)


def test_of_more_than_20_objects_the_most_important_are_kept() -> None:
    places = [(5 * (k // 7), 5 * (k % 7), 3, 3) for k in range(25)]
    many = frame(*(proposal(place, 0.3 + k / 50) for k, place in enumerate(places)))
    tracks = UnOVOST(embedding=greys, flow=still)([many, many])
    assert [track.id for track in tracks] == list(range(1, 21))
    kept = [np.argwhere(track.masks[0].mask())[0].tolist() for track in tracks]
    assert kept == [list(place[:2]) for place in places[:4:-1]]
    assert len(UnOVOST(embedding=greys, flow=still, most_tracks=3)([many, many])) == 3


def test_frames_of_two_sizes_are_refused() -> None:
    small = np.ones((20, 30), bool)
    other = FrameProposals(
        frame=np.zeros((20, 30, 3), np.uint8),
        foreground=small,
        proposals=[Proposal(mask=small, score=1.0)],
    )
    with pytest.raises(InputError, match="frames of 30x20 and 40x24 pixels"):
        UnOVOST()([frame(proposal((2, 2, 6, 6))), other])


@settings(max_examples=40)
@given(st.lists(proposal_lists, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_proposals_within_frames_does_not_matter(
    video: list[list[Proposal]], random
) -> None:
    frames = [frame(*proposals) for proposals in video]
    shuffled = [
        FrameProposals(
            frame=one.frame,
            foreground=one.foreground,
            proposals=random.sample(list(one.proposals), k),
        )
        for one, k in zip(frames, map(len, video), strict=True)
    ]
    linker = UnOVOST(embedding=greys, flow=still)
    tracks = linker(frames)
    assert linker(shuffled) == tracks
    check(tracks, video)


def check(tracks: Sequence[Track], video: Sequence[Sequence[Proposal]]) -> None:
    """Ids are ranks, and every mask that was kept is that of one track."""
    assert [track.id for track in tracks] == list(range(1, len(tracks) + 1))
    assert [track.score for track in tracks] == sorted(
        (track.score for track in tracks), reverse=True
    )
    if len(tracks) < 20:
        found = sorted((t, mask.bits) for track in tracks for t, mask in track.masks.items())
        kept = [
            (t, PackedMask.of(one.mask).bits)
            for t, some in enumerate(video)
            for one in non_overlapping(some, 0.2)
        ]
        assert found == sorted(kept)
