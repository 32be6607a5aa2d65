"""Streaming label propagation against golden values and against the dense formulation written out
plainly.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos_eval.adapters.frames import FrameSizes
from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation.cells import enlarged_labels
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def check_golden(path: Path, **options: Any) -> None:
    with np.load(path) as file:
        features, soft_masks = (
            torch.from_numpy(file["features"]),
            torch.from_numpy(file["soft_masks"]),
        )
        first_masks, labels = (
            torch.from_numpy(file["first_masks"]),
            torch.from_numpy(file["labels"]),
        )
        given_at = file["first_masks_frame"].tolist()
        config = PropagationConfig(
            context=int(file["context"]),
            radius=int(file["radius"]),
            topk=int(file["topk"]),
            temperature=float(file["temperature"]),
        )
    propagation = LabelPropagation(config=config, **options)
    agreeing = 0
    for t, frame in enumerate(features):
        new = None
        if t in given_at:
            masks = first_masks[given_at.index(t)]
            cells = F.interpolate(
                masks[None].float(), frame.shape[1:], mode="bilinear", align_corners=True
            )[0]
            new = {c: m for c, m in enumerate(cells) if masks[c].any()}
        soft = propagation.step(frame, new)
        expected = soft_masks[t]
        torch.testing.assert_close(soft, expected[propagation.ids], rtol=0, atol=1e-4)
        others = [c for c in range(len(expected)) if c not in propagation.ids]
        assert not expected[others].any()
        size = (labels.shape[1], labels.shape[2])
        sizes = FrameSizes(frame=size, encoded=size, covered=size)
        ids = enlarged_labels(soft, propagation.ids, sizes, MaskConfig())
        agreeing += int((ids == labels[t].numpy()).sum())
    assert agreeing >= 0.9999 * labels.numel()


@pytest.mark.parametrize("name", ["two_objects", "late_objects"])
def test_golden_values(golden: Path, name: str) -> None:
    check_golden(golden / f"label_propagation_{name}.npz")


def test_golden_values_at_davis_settings(shared: Path) -> None:
    check_golden(shared / "golden" / "label_propagation_davis_settings.npz")


def dense(features: Tensor, first: Tensor, config: PropagationConfig) -> Tensor:
    """The plain formulation: every cell against every cell of the context, far ones masked out,
    [T,L,h*w].
    """
    frames, _, h, w = features.shape
    unit = F.normalize(features, dim=1).flatten(2)  # [T,C,hw]
    y, x = torch.arange(h).repeat_interleave(w), torch.arange(w).repeat(h)
    dy, dx = (y[:, None] - y).abs(), (x[:, None] - x).abs()
    far = dy**2 + dx**2 >= config.radius**2
    if config.window == "disc":
        far = dy**2 + dx**2 > config.radius**2
    if config.window == "square":
        far = (dy > config.radius) | (dx > config.radius)
    soft = [first.flatten(1)]
    handed_on = [one_hot(soft[0]) if config.labels == "hard" else soft[0]]
    for t in range(1, frames):
        recent = [t - i for i in range(1, config.context + 1)]
        if config.reference == "none":
            context = [i for i in recent if i >= 0]
        else:
            early = {
                "repeat": [0] * sum(i <= 0 for i in recent),
                "once": [0] * (0 in recent),
                "none": [],
            }
            context = [0, *early[config.early_context], *(i for i in recent if i > 0)]
        similarity = (
            torch.stack([unit[t].T @ unit[c] for c in context], dim=1) / config.temperature
        )  # [hw,n,hw]
        restricted = similarity[:, 1:] if config.reference == "everywhere" else similarity
        restricted.masked_fill_(far[:, None], -torch.inf)
        labels = torch.cat([handed_on[c] for c in context], dim=1)  # [L,n*hw]
        if config.voting == "each-frame":
            weights = similarity.softmax(2).unbind(1)
            weights = torch.cat([best_of(one, config) for one in weights], dim=1) / len(context)
        else:
            weights = best_of(similarity.flatten(1), config, -torch.inf).softmax(1)
        soft.append(labels @ weights.T)
        handed_on.append(one_hot(soft[-1]) if config.labels == "hard" else soft[-1])
    return torch.stack(soft)


def best_of(scores: Tensor, config: PropagationConfig, other: float = 0) -> Tensor:
    """Scores [N,n] with `other` in the place of all but the top k of each row."""
    k = scores.shape[1] if config.topk == "all" else min(config.topk, scores.shape[1])
    best, index = scores.topk(k)
    if config.ties == "all":
        return scores.where(scores >= best[:, -1:], other)
    return torch.full_like(scores, other).scatter(1, index, best)


def one_hot(soft: Tensor) -> Tensor:
    return F.one_hot(soft.argmax(0), len(soft)).T.to(soft)


@settings(deadline=None, max_examples=60)
@given(
    size=st.tuples(st.integers(1, 11), st.integers(1, 11)),
    objects=st.integers(1, 20),
    context=st.integers(0, 5),
    radius=st.sampled_from([0, 1, 1.5, 2, 3, 12, 40]),
    window=st.sampled_from(["circle", "disc", "square"]),
    reference=st.sampled_from(["everywhere", "near", "none"]),
    early_context=st.sampled_from(["repeat", "once", "none"]),
    voting=st.sampled_from(["together", "each-frame"]),
    topk=st.integers(1, 30) | st.just("all"),
    ties=st.sampled_from(["first", "all"]),
    temperature=st.sampled_from([0.05, 0.5]),
    seed=st.integers(0, 9999),
)
def test_equals_the_dense_formulation(
    size,
    objects,
    context,
    radius,
    window,
    reference,
    early_context,
    voting,
    topk,
    ties,
    temperature,
    seed,
):
    assume(radius > 0 or window != "circle" or (reference == "everywhere" and voting == "together"))
    assume(context > 0 or reference != "none")
    assume(voting == "together" or (topk != "all" and reference != "everywhere"))
    radius = float("inf") if topk == "all" else radius
    generator = torch.Generator().manual_seed(seed)
    config = PropagationConfig(
        context=context,
        radius=radius,
        window=window,
        reference=reference,
        early_context=early_context,
        voting=voting,
        topk=topk,
        ties=ties,
        temperature=temperature,
    )
    features = torch.randn(7, 6, *size, generator=generator)
    first = torch.rand(objects + 1, *size, generator=generator).softmax(0)
    expected = dense(features, first, config)
    propagation = LabelPropagation(config=config)
    for t, frame in enumerate(features):
        soft = propagation.step(frame, dict(enumerate(first)) if t == 0 else None)
        assert propagation.ids == list(range(objects + 1))
        torch.testing.assert_close(soft.flatten(1), expected[t], rtol=0, atol=1e-4)


def clip_of_objects(seed: int) -> tuple[Tensor, Tensor]:
    """Features [9,6,8,10] of two objects that wander before a ground, with noise, and first masks
    [3,8,10].
    """
    generator = torch.Generator().manual_seed(seed)
    looks = torch.randn(3, 6, generator=generator)
    places = torch.zeros(9, 8, 10, dtype=torch.long)
    for t in range(9):
        places[t, 1:4, t // 2 : t // 2 + 4] = 1
        places[t, 5:7, 6 - t // 2 : 9 - t // 2] = 2
    features = looks[places].permute(0, 3, 1, 2) + 0.4 * torch.randn(
        9, 6, 8, 10, generator=generator
    )
    return features, F.one_hot(places[0], 3).permute(2, 0, 1).float()


@pytest.mark.parametrize("late", [False, True])
def test_the_preset_mug_is_eq_17(late: bool) -> None:
    """v_m = sum_n A(n,m) y_n with A = softmax over n of x_n.x_m, and y one-hot of the frame before
    alone.

    late: the second object is handed over in the fifth frame; from then on it takes part like the
    others.
    """
    features, first = clip_of_objects(0)
    propagation = LabelPropagation(config=PRESETS["mug"].setup.propagation)
    unit = F.normalize(features, dim=1).flatten(2)
    given_first = torch.stack([first[0] + first[2], first[1]]) if late else first
    hard = v = given_first.flatten(1)
    for t, frame in enumerate(features):
        if t:
            v = hard @ (unit[t - 1].T @ unit[t] / 0.01).softmax(0)
            hard = F.one_hot(v.argmax(0), len(v)).T.float()
        given_now = dict(enumerate(given_first)) if t == 0 else {}
        if late and t == 4:
            given_now = {2: first[2]}
            hard = torch.cat([hard * (1 - first[2].flatten()), first[2].flatten()[None]])
            v = torch.cat([v * (1 - first[2].flatten()), first[2].flatten()[None]])
        soft = propagation.step(frame, given_now)
        torch.testing.assert_close(soft.flatten(1), v, rtol=0, atol=1e-4)
    assert set(propagation._recent.exact.shape) == {1, 80, 6}


def test_the_preset_mug_release_is_close_to_the_release() -> None:
    """The release written out: five best cells of each frame with weights of a softmax over all,
    their mean, soft.
    """
    agreement = []
    for seed in range(5):
        features, first = clip_of_objects(seed)
        propagation = LabelPropagation(config=PRESETS["mug-release"].setup.propagation)
        unit = F.normalize(features, dim=1).flatten(2)
        soft = [first.flatten(1)]
        for t, frame in enumerate(features):
            ours = propagation.step(frame, dict(enumerate(first)) if t == 0 else None).flatten(1)
            if t == 0:
                continue
            votes = []
            for source in (0, t - 1):
                affinity = (unit[source].T @ unit[t] / 0.01).softmax(0)
                votes.append(
                    soft[source]
                    @ torch.where(affinity >= affinity.topk(5, dim=0).values[-1], affinity, 0)
                )
            soft.append(torch.stack(votes).mean(0))
            low, high = soft[-1].amin(1, keepdim=True), soft[-1].amax(1, keepdim=True)
            theirs = ((soft[-1] - low) / (high - low)).argmax(0)
            agreement.append((ours.argmax(0) == theirs).float().mean().item())
    assert np.mean(agreement) > 0.98


@pytest.mark.parametrize("reference", ["everywhere", "near"])
def test_cells_that_are_equally_similar_vote_all_or_the_first(reference: str) -> None:
    """A still video: every cell is in every frame, so most of the top-k places are disputed."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randint(-1, 2, (1, 3, 6, 7), generator=generator).float().repeat(5, 1, 1, 1)
    first = torch.rand(3, 6, 7, generator=generator).softmax(0)
    config = PropagationConfig(
        context=3, radius=3, reference=reference, topk=2, ties="all", early_context="none"
    )
    propagation = LabelPropagation(config=config)
    soft = [
        propagation.step(frame, dict(enumerate(first)) if t == 0 else None)
        for t, frame in enumerate(features)
    ]
    torch.testing.assert_close(
        torch.stack(soft).flatten(2), dense(features, first, config), rtol=0, atol=1e-5
    )
    alone = LabelPropagation(config=replace(config, ties="first"))
    others = [
        alone.step(frame, dict(enumerate(first)) if t == 0 else None)
        for t, frame in enumerate(features)
    ]
    assert (torch.stack(others) - torch.stack(soft)).abs().max() > 0.01


def test_products_of_features_as_they_are() -> None:
    """UVC's votes written out: a softmax over all cells of one frame, the five best kept, the mean
    over frames.
    """
    generator = torch.Generator().manual_seed(0)
    features = 3 * torch.randn(4, 5, 4, 6, generator=generator)
    first = torch.rand(3, 4, 6, generator=generator).softmax(0)
    config = replace(PRESETS["uvc"].setup.propagation, context=2)
    propagation = LabelPropagation(config=config)
    soft = [first.flatten(1)]
    for t, frame in enumerate(features):
        ours = propagation.step(frame, dict(enumerate(first)) if t == 0 else None)
        if t:
            votes = []
            for source in (0, *range(max(1, t - 2), t)):
                affinity = (features[source].flatten(1).T @ frame.flatten(1)).softmax(0)
                affinity[affinity < affinity.topk(5, dim=0).values[-1]] = 0
                votes.append(soft[source] @ affinity)
            soft.append(torch.stack(votes).mean(0))
        torch.testing.assert_close(ours.flatten(1), soft[t], rtol=0, atol=1e-5)


def test_frames_that_barely_differ_keep_the_exact_order() -> None:
    """Features so alike that bfloat16 cannot tell them apart: the coarse pass must not lose a
    match.
    """
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(1, 32, 1, 1, generator=generator)
    features = common + 3e-2 * torch.randn(6, 32, 12, 12, generator=generator)
    first = torch.rand(3, 12, 12, generator=generator).softmax(0)
    config = PropagationConfig(context=3, radius=4, topk=5)
    expected = dense(features.double(), first.double(), config).float()
    propagation = LabelPropagation(config=config)
    for t, frame in enumerate(features):
        soft = propagation.step(frame, dict(enumerate(first)) if t == 0 else None)
        equal = (soft.flatten(1) - expected[t]).abs() < 1e-3
        assert (
            equal.float().mean() > 0.97
        )  # float32 itself takes the other of two near equals now and then


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("side", [3, 32])
def test_golden_values_whatever_the_device_is_fast_at(
    golden: Path, monkeypatch, dtype: torch.dtype, side: int
) -> None:
    monkeypatch.setattr("densevos_eval.propagation.affinity.coarse_dtype", lambda device: dtype)
    monkeypatch.setattr("densevos_eval.propagation.affinity.SIDE", side)
    check_golden(golden / "label_propagation_late_objects.npz")


def test_memory_is_bounded_by_the_context() -> None:
    generator = torch.Generator().manual_seed(0)
    propagation = LabelPropagation(config=PropagationConfig(context=3, radius=2, topk=3))
    held = []
    for t in range(12):
        given_now = {0: torch.ones(4, 5) / 2, 1: torch.ones(4, 5) / 2} if t == 0 else None
        propagation.step(torch.randn(6, 4, 5, generator=generator), given_now)
        tensors = [v for v in vars(propagation).values() if isinstance(v, Tensor)]
        held.append(sum(t.numel() for t in tensors) + propagation._recent.exact.numel())
    assert len(set(held)) == 1


def test_nothing_is_known_before_the_first_mask() -> None:
    propagation = LabelPropagation(config=PropagationConfig())
    frame = torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0))
    assert propagation.step(frame).shape == (0, 4, 5)
    assert propagation.step(frame, {0: torch.zeros(4, 5), 9: torch.ones(4, 5)}).shape == (2, 4, 5)
    assert propagation.ids == [0, 9]
    assert bool((propagation.step(frame)[1] > 0.99).all())


def test_an_object_that_is_given_again_starts_anew() -> None:
    frame = torch.randn(8, 4, 6, generator=torch.Generator().manual_seed(1))
    left, right = torch.zeros(2, 4, 6)
    left[:, :3], right[:, 3:] = 1, 1
    propagation = LabelPropagation(config=PropagationConfig(context=2, radius=2, topk=1))
    propagation.step(frame, {0: right, 1: left})
    propagation.step(frame, {1: right})
    soft = propagation.step(frame)
    assert torch.equal(soft[1] > 0.5, right > 0.5)


def test_a_square_window_holds_its_corners_and_a_near_reference_no_far_cell() -> None:
    """One bright cell in the corner (0,0), and the same feature later 2 rows and 2 columns, then 3
    away.
    """
    features = torch.zeros(3, 2, 5, 5)
    features[:, 0] = 1
    for t, place in enumerate([0, 2, 3]):
        features[t, :, place, place] = torch.tensor([0.0, 1.0])
    first = torch.zeros(2, 5, 5)
    first[0], first[0, 0, 0], first[1, 0, 0] = 1, 0, 1
    moved = {}
    for window, reference in (("square", "near"), ("circle", "near"), ("circle", "everywhere")):
        config = PropagationConfig(context=0, radius=2, window=window, reference=reference, topk=1)  # type: ignore[arg-type]
        propagation = LabelPropagation(config=config)
        soft = [
            propagation.step(frame, dict(enumerate(first)) if t == 0 else None)
            for t, frame in enumerate(features)
        ]
        moved[window, reference] = [
            bool(soft[t][1, place, place] == 1) for t, place in ((1, 2), (2, 3))
        ]
    assert moved == {("square", "near"): [True, False], ("circle", "near"): [False, False]} | {
        ("circle", "everywhere"): [True, True]
    }


@pytest.mark.parametrize(
    "values",
    [
        {"context": -1},
        {"radius": -1},
        {"topk": 0},
        {"temperature": 0},
        {"radius": 0, "reference": "near"},
        {"context": 0, "reference": "none"},
        {"topk": "all", "radius": 12},
    ],
)
def test_settings_that_cannot_work_name_their_flag(values: dict) -> None:
    with pytest.raises(InputError, match=f"--{next(iter(values))}"):
        PropagationConfig(**values)
