"""The search for GPUs gives what the search for CPUs gives, and never waits for the device."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.presets.registry import PRESETS
from densevos_eval.propagation import searches, windows
from densevos_eval.propagation.affinity import Affinity
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.search import Cells, Matches, Search
from densevos_eval.propagation.searches import window_search
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.propagation.windows import SIDE, WindowSearch, tiles_of, top
from tests.eval.propagation.test_propagation import check_golden, clip_of_objects
from tests.eval.propagation.waits import Waits


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def features_of(
    frames: int, size: tuple[int, int], seed: int, *, smooth: bool = False, levels: int = 0
) -> Tensor:
    """Unit features [T,h,w,8]: noise, or smooth ones around a common direction; of few levels, so
    that many tie.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(frames, 8, *size, generator=generator)
    if smooth:
        coarse = torch.randn(1, 8, size[0] // 4 + 2, size[1] // 4 + 2, generator=generator)
        noise = (
            1 + F.interpolate(coarse, size=size, mode="bilinear", align_corners=True) + 0.1 * noise
        )
    if levels:
        noise = noise.clamp(-1, 1).mul(levels).round() + 0.5
    return F.normalize(noise, dim=1).permute(0, 2, 3, 1).contiguous()


def searched(
    search: Search, frames: Tensor, slots: list[int], copies: int, reference: bool
) -> Matches:
    """Matches of the last frame in the first one and in the others."""
    first, *recent, last = [search.cells(frame) for frame in frames]
    kept = len(first.exact) if reference else 0
    return search.search(
        last,
        Cells(exact=first.exact[:kept], coarse=first.coarse[:kept]),
        Cells(
            exact=torch.stack([cells.exact for cells in recent]),
            coarse=torch.stack([cells.coarse for cells in recent]),
        ),
        slots=slots,
        copies=copies,
    )


def check_alike(ours: Matches, theirs: Matches) -> None:
    """The same similarities, and the same candidates but for those that are equal at the last
    place.
    """
    width = min(ours.similarity.shape[1], theirs.similarity.shape[1])
    for mine, other in ((ours, theirs), (theirs, ours)):
        assert not mine.count[:, width:].any()
        last = torch.where(mine.count > 0, mine.similarity, torch.inf).amin(1, keepdim=True)
        voting = (mine.count > 0) & (mine.similarity > last + 1e-6)
        among = (mine.index[:, :, None] == other.index[:, None]) & (other.similarity > -torch.inf)[
            :, None
        ]
        assert among.any(2)[voting].all()
    mine, other = (
        torch.where(one.count > 0, one.similarity, 0)[:, :width] for one in (ours, theirs)
    )
    torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)
    assert torch.equal(ours.count.sum(1), theirs.count.sum(1))


@settings(deadline=None, max_examples=80)
@given(
    size=st.tuples(st.integers(1, 37), st.integers(1, 37)),
    slots=st.lists(st.integers(0, 3), max_size=6),
    radius=st.sampled_from([0, 1, 1.5, 3, 12, 40, float("inf")]),
    window=st.sampled_from(["circle", "disc", "square"]),
    reference=st.booleans(),
    copies=st.integers(0, 4),
    topk=st.integers(1, 30),
    levels=st.sampled_from([0, 1]),
    smooth=st.booleans(),
    seed=st.integers(0, 9999),
)
def test_equals_the_search_of_cpus(
    size, slots, radius, window, reference, copies, topk, levels, smooth, seed
):
    assume(reference or slots)
    frames = features_of(6, size, seed, smooth=smooth, levels=levels)
    options: dict[str, Any] = {"radius": radius, "topk": topk, "window": window}
    ours = searched(WindowSearch(frames[0], **options), frames, slots, copies, reference)
    theirs = searched(Affinity(frames[0], **options), frames, slots, copies, reference)
    if levels:  # How often the first of equal candidates counts depends on which they are.
        torch.testing.assert_close(ours.similarity, theirs.similarity, rtol=0, atol=1e-6)
    else:
        check_alike(ours, theirs)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("topk", [3, 10])
def test_all_that_are_equal_at_the_last_place_are_found(bf16: bool, topk: int) -> None:
    """A still video: every cell is found once in each of its frames."""
    frames = features_of(1, (9, 11), 0).expand(4, -1, -1, -1)
    options: dict[str, Any] = {"radius": 3, "topk": topk, "window": "disc", "ties": "all"}
    search = WindowSearch(frames[0], bf16=bf16, **options)
    ours = searched(search, frames, [0, 1], 0, reference=True)
    check_alike(ours, searched(Affinity(frames[0], **options), frames, [0, 1], 0, reference=True))
    assert (ours.count.sum(1) >= topk).all()


def test_more_equal_candidates_than_are_kept_are_doubtful() -> None:
    frames = torch.ones(4, 9, 11, 4) / 2
    for ties, share in (("all", 1), ("first", 0)):
        search = WindowSearch(frames[0], radius=9, topk=2, ties=ties)  # type: ignore[arg-type]
        searched(search, frames, [0, 1], 0, reference=True)
        assert search.doubtful() == share


@pytest.mark.parametrize("topk", [1, 10, 20])
@pytest.mark.parametrize("reference", [False, True])
def test_bfloat16_finds_the_same_where_it_does_not_doubt(topk: int, reference: bool) -> None:
    frames = features_of(5, (21, 30), 3)
    options: dict[str, Any] = {"radius": 4, "topk": topk}
    search = WindowSearch(frames[0], bf16=True, **options)
    ours = searched(search, frames, [2, 0, 1], 1, reference)
    assert search.doubtful() < 0.02
    theirs = searched(Affinity(frames[0], **options), frames, [2, 0, 1], 1, reference)
    alike = (ours.similarity - theirs.similarity).abs().amax(1) <= 1e-6
    assert alike.float().mean() >= 1 - search.doubtful()


def test_features_that_bfloat16_cannot_tell_apart_are_doubtful() -> None:
    """The lost matches are never more than are doubted, and there are some."""
    generator = torch.Generator().manual_seed(0)
    origin = torch.randn(1, 1, 32, generator=generator)
    patterns = torch.randn(1, 18, 20, 32, generator=generator) + 0.02 * torch.randn(
        6, 18, 20, 32, generator=generator
    )
    frames = F.normalize(origin + 0.7 * patterns[:, :1, :1] + 0.01 * patterns, dim=3)
    options: dict[str, Any] = {"radius": 12, "topk": 10}
    search = WindowSearch(frames[0], bf16=True, **options)
    ours = searched(search, frames, [0, 1, 2, 3], 0, reference=True)
    theirs = searched(Affinity(frames[0], **options), frames, [0, 1, 2, 3], 0, reference=True)
    lost = ((ours.similarity - theirs.similarity).abs().amax(1) > 1e-6).float().mean()
    assert lost <= search.doubtful()
    assert search.doubtful() > 0.5


def test_the_result_does_not_depend_on_how_many_tiles_are_compared_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames = features_of(5, (40, 35), 1)
    whole = searched(WindowSearch(frames[0], radius=5, topk=4), frames, [0, 2], 3, reference=True)
    monkeypatch.setattr(windows, "ROOM", 1)
    parts = searched(WindowSearch(frames[0], radius=5, topk=4), frames, [0, 2], 3, reference=True)
    torch.testing.assert_close(parts.similarity, whole.similarity, rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (17, 50), (60, 107), (5, 40)])
@pytest.mark.parametrize("radius", [0, 1.5, 12, float("inf")])
def test_tiles_cover_the_grid_and_all_that_is_near(size: tuple[int, int], radius: float) -> None:
    tiles = tiles_of(size, radius, "disc", torch.float32, torch.device("cpu"))
    assert torch.equal(tiles.queries.flatten()[tiles.home], torch.arange(size[0] * size[1]))
    assert tiles.queries.shape[1] == min(SIDE, size[0]) * min(SIDE, size[1])
    near = (tiles.penalty == 0).expand(*tiles.queries.shape, tiles.reach.shape[1]).sum(2)
    y, x = torch.arange(size[0])[:, None], torch.arange(size[1])[:, None]
    reach = min(radius, 200.0)
    expected = sum(
        (((y - y.T) ** 2 + dx**2 <= reach**2).sum(1)[:, None] * ((x - x.T) == dx).sum(1)).flatten()
        for dx in range(-size[1], size[1] + 1)
    )
    assert torch.equal(near, expected[tiles.queries])  # type: ignore[index]


@pytest.mark.parametrize(("length", "k"), [(5, 10), (40, 3), (1000, 7), (1003, 10)])
def test_the_largest_of_long_rows(length: int, k: int) -> None:
    scores = torch.randn(2, 3, length, generator=torch.Generator().manual_seed(length))
    values, places = top(scores, k)
    assert torch.equal(values, scores.topk(min(k, length)).values)
    assert torch.equal(scores.gather(2, places), values)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", ["two_objects", "late_objects"])
def test_golden_values(golden: Path, name: str, bf16: bool) -> None:
    check_golden(
        golden / f"label_propagation_{name}.npz", new_search=partial(window_search, bf16=bf16)
    )


CONFIGS = {
    "dul": PRESETS["dul"].setup.propagation,
    "dinov3": PRESETS["dinov3"].setup.propagation,
    "mug": PRESETS["mug"].setup.propagation,
    "uvc": PRESETS["uvc"].setup.propagation,
    "context once": PropagationConfig(context=4, radius=2, early_context="once", labels="hard"),
}


def soft_masks(
    config: PropagationConfig, search: Callable[..., Search], frames: int = 9
) -> list[Tensor]:
    features, first = clip_of_objects(0)
    propagation = LabelPropagation(config=config, new_search=search)
    return [
        propagation.step(frame, dict(enumerate(first)) if t == 0 else None)
        for t, frame in enumerate(features[:frames])
    ]


@pytest.mark.parametrize("name", CONFIGS)
def test_masks_are_those_of_the_search_of_cpus(name: str) -> None:
    config = CONFIGS[name]
    ours, theirs = soft_masks(config, window_search), soft_masks(config, searches.tile_search)
    torch.testing.assert_close(torch.stack(ours), torch.stack(theirs), rtol=0, atol=1e-5)


def test_a_cpu_searches_by_tiles_and_a_gpu_by_windows() -> None:
    config = PropagationConfig()
    assert isinstance(searches.new_search(torch.ones(2, 3, 4), config), Affinity)
    elsewhere = torch.ones(2, 3, 4, device="meta")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searches, "window_search", lambda first, config, *, bf16: f"windows {bf16}")
        assert searches.new_search(elsewhere, config, bf16=True) == "windows True"


def test_the_counter_of_waits_counts() -> None:
    values = torch.arange(4.0)
    with Waits() as waits:
        values[values > 1]
        values[values > 1] = 0
        float(values.sum())
        values[[0, 2]]
        values.index_select(0, torch.arange(2))
    assert waits.counted["index"] == waits.counted["index_put_"] == 1
    assert waits.counted["_local_scalar_dense"] == 1
    assert waits.counted["lift_fresh"] >= 1


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("name", CONFIGS)
def test_no_step_waits_for_the_device(name: str, bf16: bool) -> None:
    features, first = clip_of_objects(0)
    propagation = LabelPropagation(
        config=CONFIGS[name], new_search=partial(window_search, bf16=bf16)
    )
    propagation.step(features[0], {0: first[0] + first[2], 1: first[1]})
    with Waits() as waits:
        for t, frame in enumerate(features[1:]):
            propagation.step(frame, {2: first[2]} if t == 3 else None)
    assert not waits.counted
