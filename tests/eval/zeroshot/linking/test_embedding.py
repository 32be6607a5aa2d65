"""How proposals look: by colour, and by an encoder's features pooled over masks and boxes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.adapters.encoder import Encoder, load_encoder
from densevos_eval.zeroshot.linking.embedding import (
    Embedding,
    cell_weights,
    colour,
    pooled_over_boxes,
    pooled_over_masks,
)

HEIGHT, WIDTH, STRIDE = 20, 36, 8  # no whole cells


def means_of_cells(frames: Tensor) -> Tensor:
    return F.avg_pool2d(frames, STRIDE)


def colours(scale: float = 1) -> Encoder:
    """An encoder whose features are the mean colours of its cells."""
    return Encoder(
        name="colours",
        layer="output",
        stride=STRIDE,
        network=means_of_cells,
        device=torch.device("cpu"),
        mean=(0, 0, 0),
        std=(1, 1, 1),
        scale=scale,
    )


def rectangle(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + height, left : left + width] = True
    return mask


@pytest.fixture
def halves() -> np.ndarray:
    """A frame [20,36,3] that is red on the left, in columns 0 to 15, and blue on the right."""
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    frame[:, :16, 0] = frame[:, 16:, 2] = 255
    return frame


RED, BLUE = (1, 0, 0), (0, 0, 1)


# Colour


def test_colour_tells_masks_of_different_colours_apart(halves: np.ndarray) -> None:
    halves[:, 16:] = (
        0,
        255,
        255,
    )  # cyan shares no bin of L, a, or b with red: a Hellinger distance of 1
    masks = np.stack([rectangle(0, 0, 9, 9), rectangle(3, 2, 1, 1), rectangle(0, 20, 5, 5)])
    left, left_too, right = colour(halves, masks)
    assert left == pytest.approx(left_too, abs=1e-6)
    assert np.linalg.norm(left - right) == pytest.approx(np.sqrt(2), abs=1e-6)


def test_colour_changes_little_with_the_light() -> None:
    mask = np.ones((1, 4, 4), bool)
    grey, lighter, white = (
        colour(np.full((4, 4, 3), value, np.uint8), mask)[0] for value in (120, 124, 255)
    )
    assert np.linalg.norm(grey - lighter) < 0.4 * np.linalg.norm(grey - white)


@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_rows_of_colour_are_unit_vectors(seed: int, count: int) -> None:
    random = np.random.default_rng(seed)
    masks = random.random((count, 5, 7)) < 0.5
    masks[:, 0, 0] = True
    rows = colour(random.integers(0, 256, (5, 7, 3), dtype=np.uint8), masks)
    assert rows.shape == (count, 48)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(count), abs=1e-5)


# Cells of a mask


def test_cells_count_by_the_part_that_a_mask_covers() -> None:
    (weights,) = cell_weights(rectangle(0, 4, 16, 8)[None], (HEIGHT, WIDTH), STRIDE)
    assert weights.shape == (3, 5)
    assert weights[:2, :2].tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert weights.sum() == 2


def test_a_frame_that_is_scaled_has_the_mask_scaled() -> None:
    mask = rectangle(0, 0, 8, 8)[None]
    assert cell_weights(mask, (2 * HEIGHT, 2 * WIDTH), STRIDE)[0, :2, :2].tolist() == [
        [1, 1],
        [1, 1],
    ]
    assert cell_weights(mask, (HEIGHT // 2, WIDTH // 2), STRIDE)[0, 0, 0] == pytest.approx(0.25)


@given(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.sampled_from((0.1, 0.5, 1, 2)))
def test_a_mask_of_one_pixel_has_the_cell_that_it_lies_in(
    row: int, column: int, scale: float
) -> None:
    size = round(HEIGHT * scale), round(WIDTH * scale)
    (weights,) = cell_weights(rectangle(row, column, 1, 1)[None], size, STRIDE)
    assert weights.sum() > 0
    found = np.argwhere(weights)
    assert (abs(found - np.array([row, column]) * scale / STRIDE) <= 1).all()


# Features pooled


def test_features_are_those_of_the_mask(halves: np.ndarray) -> None:
    masks = np.stack([rectangle(2, 1, 9, 9), rectangle(19, 35, 1, 1), rectangle(0, 8, 8, 16)])
    left, right, both = pooled_over_masks(colours())(halves, masks)
    assert left == pytest.approx(RED)
    assert right == pytest.approx(BLUE)  # the corner, whose cell is mostly padding
    assert both == pytest.approx(np.array([1, 0, 1]) / np.sqrt(2), abs=1e-6)


def test_boxes_hold_what_is_beside_the_mask_too(halves: np.ndarray) -> None:
    corners = rectangle(0, 12, 1, 1) | rectangle(7, 19, 1, 1)  # its box is half red, half blue
    left, both = pooled_over_boxes(colours())(halves, np.stack([rectangle(2, 1, 9, 9), corners]))
    assert left == pytest.approx(RED)
    assert both == pytest.approx(np.array([1, 0, 1]) / np.sqrt(2), abs=0.05)


@pytest.mark.parametrize(("scale", "side"), [(1, 128), (0.5, 64), (0.01, 8)])
def test_boxes_are_resized_to_whole_cells(halves: np.ndarray, scale: float, side: int) -> None:
    seen: list[tuple[int, ...]] = []

    def network(frames: Tensor) -> Tensor:
        seen.append(tuple(frames.shape))
        return means_of_cells(frames)

    encoder = Encoder(
        name="seen",
        layer="output",
        stride=STRIDE,
        network=network,
        device=torch.device("cpu"),
        scale=scale,
    )
    pooled_over_boxes(encoder)(halves, np.stack([rectangle(0, 0, 1, 1), rectangle(0, 0, 20, 36)]))
    assert seen == [(2, 3, side, side)]


@pytest.mark.parametrize("pooled", [pooled_over_masks, pooled_over_boxes])
@pytest.mark.parametrize("scale", [1, 0.5])
def test_rows_of_an_encoder_are_unit_vectors(halves: np.ndarray, pooled, scale: float) -> None:
    torch.set_num_threads(1)
    embed: Embedding = pooled(load_encoder("random:resnet18", device="cpu", scale=scale))
    rows = embed(halves, np.stack([rectangle(0, 0, 20, 36), rectangle(7, 7, 1, 1)]))
    assert rows.shape == (2, 512)
    assert rows.dtype == np.float32
    assert np.linalg.norm(rows, axis=1) == pytest.approx(np.ones(2), abs=1e-5)
