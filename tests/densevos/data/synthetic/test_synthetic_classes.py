"""Synthetic stills and videos of classes that are textures and shapes."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from densevos.data.synthetic.classes import (
    BACKGROUNDS,
    CLASSES,
    SyntheticClassesConfig,
    class_scene,
    make_still,
    make_video,
    outline,
    texture,
)
from densevos.data.synthetic.textures import Pool

SMALL = SyntheticClassesConfig(height=72, width=96, frames=3)
OBJECTS = range(1, len(CLASSES))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sharpness(image: np.ndarray) -> float:
    """Size of the second differences of grey values, against their range."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_64F)).mean() / np.ptp(grey))


@pytest.mark.parametrize("make", [make_still, make_video])
def test_same_seed_gives_same_bytes_and_others_differ(
    make: Callable[
        [SyntheticClassesConfig, Pool, np.random.Generator], tuple[np.ndarray, np.ndarray]
    ],
) -> None:
    (frames, labels), again, other = (make(SMALL, "train", rng(seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(frames, again[0])
    np.testing.assert_array_equal(labels, again[1])
    assert not np.array_equal(frames, other[0])
    assert not np.array_equal(frames, make(SMALL, "val", rng(3))[0])


def test_shapes_and_ids() -> None:
    still, ids = make_still(SMALL, "train", rng())
    assert (still.shape, still.dtype, ids.shape, ids.dtype) == (
        (72, 96, 3),
        np.uint8,
        (72, 96),
        np.uint8,
    )
    frames, labels = make_video(SMALL, "val", rng())
    assert (frames.shape, frames.dtype, labels.shape, labels.dtype) == (
        (3, 72, 96, 3),
        np.uint8,
        (3, 72, 96),
        np.uint8,
    )
    assert max(ids.max(), labels.max()) < len(CLASSES)


def test_stills_show_every_class_and_nothing_of_some_size() -> None:
    shown = np.zeros(len(CLASSES))
    for seed in range(30):
        ids = make_still(SMALL, "train", rng(seed))[1]
        shown[np.unique(ids)] += 1
    assert shown.min() >= 4


def test_videos_move_and_are_blurred_and_dark() -> None:
    stills = [make_still(SMALL, "train", rng(seed))[0] for seed in range(6)]
    videos = [make_video(SMALL, "train", rng(seed)) for seed in range(6)]
    sharp, blurred = (
        np.mean([sharpness(image) for image in images])
        for images in (stills, [v[0][0] for v in videos])
    )
    assert blurred < 0.7 * sharp
    assert np.mean([frames.mean() for frames, _ in videos]) < 0.85 * np.mean(
        [still.mean() for still in stills]
    )
    assert all((labels[0] != labels[-1]).any() for _, labels in videos)


def test_objects_have_the_texture_and_shape_of_their_class() -> None:
    assert len({texture(label).tobytes() for label in OBJECTS}) == len(OBJECTS)
    assert all(
        np.ptp(texture(label), axis=2).max() == 0 for label in OBJECTS
    )  # grey: a colour would give it away
    corners = {"square": 4, "triangle": 3, "star": 10, "cross": 12}
    for label in OBJECTS:
        level = outline(label, 3000, rng(label))
        assert (level > 0).sum() == pytest.approx(3000, rel=0.02)
        (contour,), _ = cv2.findContours(
            (level > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        found = len(cv2.approxPolyDP(contour, 3.5, True))
        assert found == corners.get(CLASSES[label].split()[1], found)


def test_pools_share_no_background() -> None:
    assert not set(BACKGROUNDS["train"]) & set(BACKGROUNDS["val"])


def test_distractors_have_no_class() -> None:
    labels = [
        s.label
        for seed in range(10)
        for s in class_scene(SMALL.still(), "train", rng(seed)).sprites
    ]
    assert set(labels) == set(range(len(CLASSES)))
