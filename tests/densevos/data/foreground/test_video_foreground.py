"""Motion and consensus of whole videos: what they find, and what they do where there is nothing to
find.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from densevos.base.errors import InputError
from densevos.data.foreground import video as module
from densevos.data.foreground.video import VideoMethod, window_foreground, windows

H, W = 72, 108
METHODS: tuple[VideoMethod, ...] = ("motion", "consensus")


class Frames:
    """A `FrameReader` of frames in memory, which remembers how many were asked for."""

    path = Path("memory")

    def __init__(self, frames: Sequence[np.ndarray]):
        self.frames, self.asked = frames, 0

    @property
    def names(self) -> list[str]:
        return [str(index) for index in range(len(self))]

    def __len__(self) -> int:
        return len(self.frames)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        self.asked += len(indices)
        return np.stack([self.frames[index] for index in indices])

    def seconds(self) -> None:
        return None


def video(
    places: Sequence[int], seed: int = 0, pan: int = 1
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """A textured red square at some places, before a textured ground that the camera passes by; and
    the masks.
    """
    rng = np.random.default_rng(seed)
    small = rng.random((H // 4, W, 3))
    ground = np.kron(small, np.ones((4, 4, 1))) * (70, 130, 90) + (20, 30, 40)
    looks = np.kron(rng.random((6, 6, 1)), np.ones((4, 4, 1))) * (70, 30, 30) + (170, 20, 20)
    frames, masks = [], []
    for t, place in enumerate(places):
        image = ground[:, t * pan : t * pan + W].copy()
        image[24:48, place : place + 24] = looks
        mask = np.zeros((H, W), bool)
        mask[24:48, place : place + 24] = True
        frames.append(image.astype(np.uint8))
        masks.append(mask)
    return frames, masks


def found(frames: Sequence[np.ndarray], method: VideoMethod = "consensus") -> list[np.ndarray]:
    reader = Frames(frames)
    return [
        probability
        for window in windows(len(frames), method)
        for _, probability in window_foreground(reader, window, method, 240)
    ]


def overlap(probabilities: Sequence[np.ndarray], masks: Sequence[np.ndarray]) -> float:
    pairs = [(one > 0.5, mask) for one, mask in zip(probabilities, masks, strict=True)]
    return float(np.mean([(a & b).sum() / max((a | b).sum(), 1) for a, b in pairs]))


@pytest.mark.parametrize("method", METHODS)
def test_a_moving_square_before_a_passing_ground_is_found(method: VideoMethod) -> None:
    frames, masks = video(range(10, 50, 4))
    assert overlap(found(frames, method), masks) > {"motion": 0.55, "consensus": 0.8}[method]


def test_consensus_finds_it_where_it_stands_still_too() -> None:
    frames, masks = video([10, 14, 18, 22, 26, 30, 30, 30, 30, 30], pan=0)
    assert overlap(found(frames)[7:], masks[7:]) > 0.7
    assert overlap(found(frames, "motion")[7:], masks[7:]) < 0.1


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("pan", [0, 2])
def test_a_video_in_which_nothing_moves_has_no_foreground(method: VideoMethod, pan: int) -> None:
    frames, _ = video([20] * 5, pan=0)
    wide = [np.ascontiguousarray(np.roll(frame, pan * t, axis=1)) for t, frame in enumerate(frames)]
    still = (
        wide if pan == 0 else [frame[:, 2 * len(wide) :] for frame in wide]
    )  # the camera alone moves
    assert all(one.max() <= 0.5 for one in found(still, method))


@pytest.mark.parametrize("method", METHODS)
def test_one_frame_has_no_foreground(method: VideoMethod) -> None:
    frames, _ = video([20])
    (probability,) = found(frames, method)
    assert probability.shape == (H, W)
    assert not probability.any()


@pytest.mark.parametrize("method", METHODS)
def test_black_frames_have_no_foreground(method: VideoMethod) -> None:
    assert not any(one.any() for one in found([np.zeros((H, W, 3), np.uint8)] * 4, method))


def test_both_sides_of_a_cut_are_videos_of_their_own() -> None:
    before, masks_before = video(range(10, 34, 4))
    after, masks_after = video(range(70, 46, -4), seed=5)
    after = [255 - frame for frame in after]
    together = found(before + after)
    for one, alone in zip(together, found(before) + found(after), strict=True):
        assert np.array_equal(one, alone)
    assert overlap(together, masks_before + masks_after) > 0.7


def test_a_flash_has_what_the_frame_before_it_has() -> None:
    frames, masks = video(range(10, 42, 4))
    frames[4] = np.full_like(frames[4], 255)
    probabilities = found(frames)
    assert np.array_equal(probabilities[4], probabilities[3])
    assert overlap(probabilities[:4] + probabilities[5:], masks[:4] + masks[5:]) > 0.7


def test_a_fade_loses_nothing_while_there_is_light() -> None:
    frames, masks = video(range(10, 50, 4))
    faded = [
        (frame * light).astype(np.uint8)
        for frame, light in zip(frames, np.linspace(1, 0.3, 10), strict=True)
    ]
    assert overlap(found(faded), masks) > 0.7


@pytest.mark.parametrize("length", [1, 99, 120, 121, 250, 1001])
@pytest.mark.parametrize("method", METHODS)
def test_windows_part_a_video_evenly(length: int, method: VideoMethod) -> None:
    parts = windows(length, method)
    assert [index for part in parts for index in part] == list(range(length))
    assert max(map(len, parts)) <= module.WINDOW + 2 * module.CONTEXT[method]
    assert len(parts) == 1 or max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_window_looks_at_its_neighbourhood_and_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frames, masks = video(range(10, 70, 2))
    monkeypatch.setattr(module, "WINDOW", 8)
    monkeypatch.setitem(module.CONTEXT, "consensus", 2)
    assert windows(len(frames), "consensus")[1] == range(7, 15)
    reader = Frames(frames)
    probabilities = [one for _, one in window_foreground(reader, range(7, 15), "consensus", 240)]
    assert reader.asked == 12
    assert overlap(probabilities, masks[7:15]) > 0.7
    assert overlap(found(frames), masks) > 0.7


@pytest.mark.parametrize("larger", [2, 1.5])
def test_a_change_of_size_is_refused_though_shrinking_or_a_cut_hides_it(larger: float) -> None:
    frames, _ = video([10, 14, 18])
    height, width = round(larger * H), round(W * larger if larger == 2 else W)

    class Changing(Frames):
        def read(self, indices: Sequence[int]) -> np.ndarray:
            (index,) = indices
            return (
                self.frames[index][None]
                if index < 2
                else np.full((1, height, width, 3), 255, np.uint8)
            )

    said = (
        f"memory: frame 2 is {width}x{height} but 0 is {W}x{H}; frames of one video must share "
        f"one size"
    )
    with pytest.raises(InputError, match=said):
        list(window_foreground(Changing(frames), range(3), "motion", 36))
