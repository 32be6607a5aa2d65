"""Cuts, flashes, fades and black frames."""

import numpy as np
import pytest

from densevos.data.foreground.shots import Shot, shots

H, W = 72, 128


def scene(seed: int, count: int) -> list[np.ndarray]:
    """A textured picture that moves by two pixels a frame."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (6, 12, 3))
    wide = np.kron(colours, np.ones((12, 16, 1), int)).astype(np.uint8)
    return [np.ascontiguousarray(np.roll(wide, 2 * t, axis=1)[:H, :W]) for t in range(count)]


def test_a_video_without_cut_is_one_shot() -> None:
    assert shots(scene(0, 6)) == [Shot(tuple(range(6)), ())]


def test_a_cut_begins_another_shot() -> None:
    assert shots(scene(0, 4) + scene(1, 3)) == [Shot((0, 1, 2, 3), ()), Shot((4, 5, 6), ())]


@pytest.mark.parametrize("length", [1, 3])
def test_a_flash_belongs_to_the_shot_that_goes_on_after_it(length: int) -> None:
    frames = scene(0, 4 + length)
    for index in range(2, 2 + length):
        frames[index] = np.full_like(frames[index], 255)
    assert shots(frames) == [
        Shot((0, 1, *range(2 + length, 4 + length)), tuple(range(2, 2 + length)))
    ]


def test_what_lasts_longer_than_a_flash_is_a_shot() -> None:
    frames = [*scene(0, 2), *[np.full((H, W, 3), 255, np.uint8)] * 4, *scene(0, 2)]
    assert [shot.frames for shot in shots(frames)] == [(0, 1), (2, 3, 4, 5), (6, 7)]


def test_a_fade_is_no_cut() -> None:
    frames = [
        (frame * light).astype(np.uint8)
        for frame, light in zip(scene(0, 8), np.linspace(1, 0.2, 8), strict=True)
    ]
    assert len(shots(frames)) == 1


def test_black_frames_and_one_frame_are_shots() -> None:
    black = [np.zeros((H, W, 3), np.uint8)] * 3
    assert shots(black) == [Shot((0, 1, 2), ())]
    assert shots(black[:1]) == [Shot((0,), ())]
    assert shots([]) == []
    assert [shot.frames for shot in shots([*black, *black, *scene(0, 5)])] == [
        tuple(range(6)),
        tuple(range(6, 11)),
    ]


def test_every_frame_is_in_one_shot() -> None:
    rng = np.random.default_rng(3)
    frames = [one for seed in range(8) for one in scene(seed % 3, int(rng.integers(1, 5)))]
    found = shots(frames)
    assert sorted(index for shot in found for index in (*shot.frames, *shot.flashes)) == list(
        range(len(frames))
    )
