"""What each protocol's rules make of masks, on random masks of any size, against plain
formulations.
"""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from densevos.base.errors import InputError
from densevos_eval.metrics.measure_objects import measure_objects
from densevos_eval.metrics.metric import Arrays
from densevos_eval.metrics.object_masks import counted_frames
from densevos_eval.protocols.davis import DAVIS16, DAVIS17, DAVIS17_UNSUPERVISED
from densevos_eval.protocols.protocol import Protocol
from densevos_eval.protocols.ytobjects import YTOBJECTS
from densevos_eval.protocols.ytvos import YTVOS18
from densevos_eval.sequences.sequence import VideoSequence

quick = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)
MANY = 20


@st.composite
def videos(draw: st.DrawFn, objects: int = 3, frames: int = 5) -> np.ndarray:
    """Masks [frames,H,W] uint8 of any ids up to `objects`, from 1x1 pixels on, none of the frames
    the same.
    """
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    return draw(arrays(np.uint8, (frames, *size), elements=st.integers(0, objects)))


def judged(truth: np.ndarray, prediction: np.ndarray, protocol: Protocol, **about) -> Arrays:
    """Curves of masks [frames,H,W] by way of files, and the names of the frames that count."""
    names = tuple(f"{t:05d}" for t in range(len(truth)))
    with tempfile.TemporaryDirectory() as folder:
        for side, masks in (("truth", truth), ("results", prediction)):
            (Path(folder) / side / "one").mkdir(parents=True)
            for name, mask in zip(names, masks, strict=True):
                Image.fromarray(mask.astype(np.uint8)).save(
                    Path(folder) / side / "one" / f"{name}.png"
                )
        files = tuple(Path(folder) / "truth" / "one" / f"{name}.png" for name in names)
        merge = protocol.merge_objects
        sequence = VideoSequence(
            name="one",
            source=files[0].parent,
            frame_names=names,
            truth=files,
            merge_objects=merge,
            **about,
        )
        counted = [names[t] for t in counted_frames(sequence, protocol)]
        return {
            **measure_objects(sequence, Path(folder) / "results", protocol),
            "frames": np.array(counted),
        }


def regions(scores: Arrays) -> np.ndarray:
    """J [objects,frames]."""
    return scores["J"]


def contours(scores: Arrays) -> np.ndarray:
    """F [objects,frames]."""
    return scores["F"]


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum()) if (a | b).any() else 1.0


def with_first(truth: np.ndarray, ids: np.ndarray | range) -> np.ndarray:
    """The video with a first frame that holds all of `ids`, in a wider frame where it must."""
    wide = np.zeros((len(truth), truth.shape[1], max(truth.shape[2], len(ids))), np.uint8)
    wide[:, :, : truth.shape[2]] = truth
    wide[0, 0, : len(ids)] = ids
    return wide


@quick
@given(videos(objects=MANY), seeds)
def test_twenty_objects_are_scored_one_by_one(truth: np.ndarray, rng: np.random.Generator) -> None:
    truth = with_first(truth, range(1, MANY + 1))
    prediction = rng.permuted(truth, axis=0)
    scores = judged(truth, prediction, DAVIS17)
    assert scores["ids"].tolist() == list(range(1, MANY + 1))
    expected = [
        [intersection_over_union(truth[t] == id, prediction[t] == id) for t in (1, 2, 3)]
        for id in range(1, MANY + 1)
    ]
    np.testing.assert_allclose(regions(scores), expected, rtol=0, atol=1e-12)
    perfect = judged(truth, truth, DAVIS17)
    assert (regions(perfect) == 1).all()
    assert (contours(perfect) == 1).all()


@quick
@given(videos(objects=MANY), seeds)
def test_names_of_proposals_do_not_matter(truth: np.ndarray, rng: np.random.Generator) -> None:
    truth = with_first(truth, range(1, 4))
    truth[truth > 3] = 0
    renamed = np.concatenate([[0], rng.permutation(np.arange(1, MANY + 1))]).astype(np.uint8)
    scores = judged(truth, renamed[truth], DAVIS17_UNSUPERVISED)
    assert len(scores["frames"]) == len(truth)
    assert (regions(scores) == 1).all()
    assert (contours(scores) == 1).all()


def test_more_than_twenty_proposals_are_refused() -> None:
    truth = with_first(np.zeros((3, 2, 2), np.uint8), range(1, 3))
    prediction = np.where(truth == 2, MANY + 1, truth)
    with pytest.raises(InputError, match=f"00000.png: mask holds id {MANY + 1}"):
        judged(truth, prediction, DAVIS17_UNSUPERVISED)


@quick
@given(videos(), videos(), st.sets(st.integers(1, 4)))
def test_frames_of_void_count_as_right(
    truth: np.ndarray, prediction: np.ndarray, void: set[int]
) -> None:
    truth = with_first(truth, range(1, 4))
    prediction = np.resize(prediction, truth.shape)
    truth[list(void)] = 255
    scores = judged(truth, prediction, DAVIS17_UNSUPERVISED)
    for t in void:
        assert (regions(scores)[:, t] == 1).all()
        assert (contours(scores)[:, t] == 1).all()


@quick
@given(videos(objects=1))
def test_void_in_every_pixel_but_the_objects_makes_any_cover_right(truth: np.ndarray) -> None:
    truth = with_first(truth, range(1, 2))
    covered = np.where(truth == 1, 1, 255).astype(np.uint8)
    assert (regions(judged(covered, np.ones_like(truth), DAVIS17_UNSUPERVISED)) == 1).all()


@quick
@given(videos(objects=2, frames=7))
def test_object_that_vanishes_and_returns(truth: np.ndarray) -> None:
    truth = with_first(truth, range(1, 3))
    truth[1:, 0, 0] = 1
    truth[3:5] = np.where(truth[3:5] == 1, 0, truth[3:5])
    right = judged(truth, truth, DAVIS17)
    assert regions(right).shape == (2, 5)
    assert (regions(right) == 1).all()
    clinging = truth.copy()
    clinging[3:5, 0, 0] = 1
    wrong = judged(truth, clinging, DAVIS17)
    assert regions(wrong)[0].tolist() == contours(wrong)[0].tolist() == [1, 1, 0, 0, 1]
    lost = truth.copy()
    lost[3:] = np.where(truth[3:] == 1, 0, truth[3:])
    assert regions(judged(truth, lost, DAVIS17))[0].tolist() == [1, 1, 1, 1, 0]


@quick
@given(videos(), seeds)
def test_ids_do_not_matter_where_objects_are_merged(
    truth: np.ndarray, rng: np.random.Generator
) -> None:
    truth = with_first(truth, range(1, 2))
    shown = rng.permuted(truth, axis=0)
    other = np.where(shown > 0, rng.integers(1, 256, shown.shape), 0).astype(np.uint8)
    scores, same = (
        judged(truth, other, DAVIS16),
        judged(truth, (shown > 0).astype(np.uint8), DAVIS16),
    )
    np.testing.assert_array_equal(regions(scores), regions(same))
    np.testing.assert_array_equal(contours(scores), contours(same))
    expected = [intersection_over_union(truth[t] > 0, shown[t] > 0) for t in (1, 2, 3)]
    np.testing.assert_allclose(regions(scores)[0], expected, rtol=0, atol=1e-12)


@quick
@given(videos(), seeds, st.sampled_from([DAVIS16, DAVIS17]))
def test_first_and_last_frame_of_davis_do_not_count(
    truth: np.ndarray, rng: np.random.Generator, protocol: Protocol
) -> None:
    truth = with_first(truth, range(1, 4))
    prediction = rng.permuted(truth, axis=0)
    other = prediction.copy()
    other[[0, -1]] = 0
    before, after = judged(truth, prediction, protocol), judged(truth, other, protocol)
    assert before["frames"].tolist() == after["frames"].tolist() == ["00001", "00002", "00003"]
    np.testing.assert_array_equal(regions(before), regions(after))
    np.testing.assert_array_equal(contours(before), contours(after))


@quick
@given(videos(), seeds, st.integers(0, 3))
def test_object_counts_from_the_frame_after_it_is_handed_over(
    truth: np.ndarray, rng: np.random.Generator, first: int
) -> None:
    prediction = rng.permuted(truth, axis=0)
    other = prediction.copy()
    other[: first + 1] = np.where(other[: first + 1] == 2, 0, other[: first + 1])
    scores, same = (
        judged(truth, masks, YTVOS18, appears={1: 0, 2: first, 3: 0})
        for masks in (prediction, other)
    )
    assert np.isnan(regions(scores)[1]).tolist() == [t <= first for t in range(5)]
    np.testing.assert_array_equal(regions(scores)[1], regions(same)[1])


@quick
@given(videos(objects=1), st.sets(st.integers(0, 4), min_size=1))
def test_only_annotated_frames_count_in_youtube_objects(
    truth: np.ndarray, annotated: set[int]
) -> None:
    prediction = 1 - truth
    frames = tuple(sorted(annotated))
    prediction[list(frames)] = truth[list(frames)]
    scores = judged(truth, prediction, YTOBJECTS, annotated=frames)
    assert scores["frames"].tolist() == [f"{t:05d}" for t in frames]
    assert regions(scores).tolist() == [[1] * len(frames)]
    assert "F" not in scores
