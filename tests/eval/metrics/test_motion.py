"""Regions against segments: the measure of FBMS-59, against a plain formulation."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densevos_eval.metrics.motion import Matched, match_regions

counts = st.integers(1, 4).flatmap(
    lambda regions: st.integers(1, 4).flatmap(
        lambda segments: st.lists(
            st.lists(st.integers(0, 50), min_size=segments, max_size=segments),
            min_size=regions,
            max_size=regions,
        )
    )
)


def plainly(pixels: np.ndarray) -> tuple[float, list[tuple[float, float, float]]]:
    """Highest sum of F over all assignments, and precision, recall and F of each region in one that
    has it.
    """
    regions, segments = pixels.shape
    best: tuple[float, list[tuple[float, float, float]]] = (-1, [])
    for order in permutations(range(max(regions, segments)), regions):
        rows = []
        for region, segment in enumerate(order):
            if segment >= segments:
                rows.append((1.0, 0.0, 0.0))
                continue
            shared = pixels[region, segment]
            precision, recall = shared / pixels[:, segment].sum(), shared / pixels[region].sum()
            rows.append(
                (
                    precision,
                    recall,
                    2 * precision * recall / (precision + recall) if shared else 0.0,
                )
            )
        total = sum(int(10_000 * f) for _, _, f in rows)
        best = max(best, (total, rows), key=lambda pair: pair[0])
    return best


@given(counts)
def test_best_assignment_is_found(rows: list[list[int]]) -> None:
    pixels = np.array(rows, float)
    pixels = pixels[pixels.sum(1) > 0][:, pixels.sum(0) > 0]
    if not pixels.size:
        return
    found = match_regions(np.array(rows, float))
    _, plain = plainly(pixels)
    assert found.objects == len(pixels) - 1

    # Several assignments may be equally good; where their numbers agree, so must ours.
    if len({tuple(sorted(p)) for p in _all_best(pixels)}) == 1:
        assert found.precision == pytest.approx(np.mean([p for p, _, _ in plain]))
        assert found.recall == pytest.approx(np.mean([r for _, r, _ in plain]))
        assert found.found == max(0, sum(f > 0.75 for _, _, f in plain) - 1)


def _all_best(pixels: np.ndarray) -> list[list[float]]:
    """Precision, recall and F of all regions in every assignment that has the highest sum of F."""
    highest, _ = plainly(pixels)
    regions, segments = pixels.shape
    every = []
    for order in permutations(range(max(regions, segments)), regions):
        columns = [segment for segment in order if segment < segments]
        only = np.hstack([pixels, np.zeros((regions, max(0, max(order) + 1 - segments)))])[
            :, list(order)
        ]
        sizes = [pixels[:, s].sum() if s < segments else 0.0 for s in order]
        numbers, total = [], 0
        for region, size in enumerate(sizes):
            shared = only[region, region]
            p = shared / size if size else 1.0
            r = shared / pixels[region].sum()
            f = 2 * p * r / (p + r) if shared else 0.0
            total += int(10_000 * f)
            numbers += [round(p, 9), round(r, 9), round(f, 9)]
        if total == highest and columns:
            every.append(numbers)
    return every


def test_segments_without_a_region_do_not_count() -> None:
    pixels = np.array([[90.0, 10.0, 0.0], [0.0, 5.0, 45.0]])
    assert match_regions(pixels) == Matched(precision=1, recall=0.9, found=1, objects=1)


def test_region_without_a_segment_has_precision_1_and_recall_0() -> None:
    pixels = np.array([[80.0, 0.0], [20.0, 0.0], [0.0, 50.0]])
    assert match_regions(pixels) == Matched(
        precision=pytest.approx(2.8 / 3), recall=2 / 3, found=1, objects=2
    )


def test_empty_regions_are_not_visible() -> None:
    assert match_regions(np.diag([10.0, 0.0, 5.0])).objects == 1
