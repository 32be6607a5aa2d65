"""Sequences of any size and number of objects, which vanish and return; frames in which all is
void.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from densevos.base.masks import VOID, write_mask
from densevos_eval.metrics.measure_objects import measure_objects
from densevos_eval.metrics.objects import object_curves
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.protocols.davis import DAVIS17, DAVIS17_UNSUPERVISED
from densevos_eval.sequences.sequence import VideoSequence
from tests.eval.metrics.test_metrics import plain_contour_accuracy, plain_region_similarity

few = settings(max_examples=12, deadline=None)


@st.composite
def videos(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Annotation and prediction [T,H,W]: all objects in the first frame, later some of them only,
    void in places.
    """
    height, width, objects = (
        draw(st.integers(1, 14)),
        draw(st.integers(1, 14)),
        draw(st.sampled_from([1, 2, 20])),
    )
    rng = np.random.default_rng(draw(st.integers(0, 9999)))
    cells = (
        rng.permutation(np.arange(height * width) % (objects + 1))
        if height * width > 1
        else np.ones(1)
    )
    truth = np.stack([cells.reshape(height, width)] * draw(st.integers(3, 5))).astype(np.uint8)
    for frame in truth[1:]:
        frame[
            np.isin(frame, rng.choice(objects, draw(st.integers(0, objects)), replace=False) + 1)
        ] = 0
    prediction = np.roll(truth, draw(st.integers(0, 2)), axis=2)
    for t in draw(st.sets(st.integers(1, len(truth) - 1))):
        truth[t] = np.where(
            rng.random(truth[t].shape) < draw(st.sampled_from([0.3, 1])), VOID, truth[t]
        )
    return truth, prediction


@contextmanager
def on_disk(truth: np.ndarray, prediction: np.ndarray) -> Iterator[tuple[VideoSequence, Path]]:
    """The masks as files: a sequence and its folder of results."""
    with TemporaryDirectory() as folder:
        names = tuple(f"{t:05d}" for t in range(len(truth)))
        for kind, masks in (("truth", truth), ("results", prediction)):
            (Path(folder) / kind / "one").mkdir(parents=True)
            for name, mask in zip(names, masks, strict=True):
                write_mask(Path(folder) / kind / "one" / f"{name}.png", mask)
        files = tuple(Path(folder) / "truth" / "one" / f"{name}.png" for name in names)
        sequence = VideoSequence(name="one", source=Path(folder), frame_names=names, truth=files)
        yield sequence, Path(folder) / "results"


@few
@given(videos())
def test_objects_score_as_by_the_plain_formulation(video: tuple[np.ndarray, np.ndarray]) -> None:
    truth, prediction = video
    with on_disk(truth, prediction) as (sequence, results):
        objects = object_curves(measure_objects(sequence, results, DAVIS17))
    assert list(objects) == [i for i in np.unique(truth[0]) if i]
    for id, curves in objects.items():
        pairs = [(t == id, p == id) for t, p in zip(truth[1:-1], prediction[1:-1], strict=True)]
        assert curves["J"].tolist() == [plain_region_similarity(*pair) for pair in pairs]
        assert curves["F"].tolist() == pytest.approx(
            [plain_contour_accuracy(*pair) for pair in pairs], abs=1e-12
        )


@few
@given(videos())
def test_proposals_score_as_by_the_plain_assignment_without_void(
    video: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, prediction = video
    with on_disk(truth, prediction) as (sequence, results):
        objects = object_curves(measure_objects(sequence, results, DAVIS17_UNSUPERVISED))
    judged = np.where(truth == VOID, 0, prediction)
    # As in the official evaluation there are as many proposals as objects at least, and then some
    # may be empty.
    benefit = np.zeros((len(objects), max(len(objects), judged.max())))
    for t, p in zip(truth, judged, strict=True):
        for i, id in enumerate(objects):
            for k in range(benefit.shape[1]):
                pair = t == id, p == k + 1
                benefit[i, k] += (
                    (plain_region_similarity(*pair) + plain_contour_accuracy(*pair))
                    / 2
                    / len(truth)
                )
    found = sum((curves["J"].mean() + curves["F"].mean()) / 2 for curves in objects.values())
    assert found == pytest.approx(
        benefit[linear_sum_assignment(benefit, maximize=True)].sum(), abs=1e-9
    )


def test_frames_that_are_void_throughout_cost_nothing() -> None:
    truth, prediction = np.full((4, 9, 11), VOID, np.uint8), np.full((4, 9, 11), 2, np.uint8)
    truth[0] = prediction[0] = 0
    truth[0, 2:7, 3:8] = prediction[0, 2:7, 3:8] = 1
    with on_disk(truth, prediction) as (sequence, results):
        arrays = measure_objects(sequence, results, DAVIS17_UNSUPERVISED)
    assert arrays["J"].tolist() == arrays["F"].tolist() == [[1, 1, 1, 1]]


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)).filter(lambda size: size != (1, 1)),
    objects=st.sampled_from([1, 3, 20]),
    gone=st.integers(1, 6),
    context=st.integers(0, 3),
    seed=st.integers(0, 9999),
)
def test_an_object_that_vanishes_is_found_when_it_returns(
    size: tuple[int, int], objects: int, gone: int, context: int, seed: int
) -> None:
    """Each object is one cell with a feature of its own, and returns elsewhere, also after the
    context has passed.
    """
    rng = np.random.default_rng(seed)
    objects = min(objects, size[0] * size[1] - 1)
    ids = rng.permutation(
        np.pad(np.arange(1, objects + 1), (0, size[0] * size[1] - objects))
    ).reshape(size)
    returned = np.roll(ids, tuple(rng.integers(0, size)), axis=(0, 1))
    propagation = LabelPropagation(config=PropagationConfig(context=context, radius=2, topk=1))
    own = torch.eye(objects + 1)
    frames = [ids, *[np.zeros_like(ids)] * gone, returned]
    for t, frame in enumerate(frames):
        given_now = (
            {i: torch.from_numpy(ids == i).float() for i in range(objects + 1)} if t == 0 else None
        )
        soft = propagation.step(own[torch.from_numpy(frame)].permute(2, 0, 1), given_now)
        np.testing.assert_array_equal(soft.argmax(0).numpy(), frame)
