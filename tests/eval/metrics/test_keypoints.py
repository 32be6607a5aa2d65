"""PCK by the rule of published numbers, against the programs that print them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from densevos_eval.metrics.keypoints import pck, relative_distances
from densevos_eval.propagation.joint_maps import cell_joint_maps, joints_of_cell_maps

CLIPS = 3
THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5)  # The rows of `pck`.
seeds = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@pytest.fixture
def peer(shared: Path) -> dict[str, np.ndarray]:
    """What CRW's programs read and print for three clips."""
    with np.load(shared / "golden" / "peers" / "jhmdb.npz") as stored:
        return dict(stored)


def truth_of(peer: dict[str, np.ndarray], clip: int) -> np.ndarray:
    """True (x, y) [frames,joints,2]."""
    return peer[f"joints{clip}"].transpose(2, 1, 0)


def frame_size(peer: dict[str, np.ndarray], clip: int) -> tuple[int, int]:
    return peer[f"frames{clip}"].shape[1:3]


def read_out(peer: dict[str, np.ndarray], clip: int, strongest: int = 3) -> np.ndarray:
    """Joints (x, y) [frames,joints,2] of CRW's own maps, which follow one another clip by clip."""
    length = len(truth_of(peer, clip))
    maps = peer["soft"][clip * length : (clip + 1) * length, :, :, 1:].transpose(0, 3, 1, 2)
    size = frame_size(peer, clip)
    return np.stack([joints_of_cell_maps(one, size, strongest) for one in maps])


def table(distances: np.ndarray) -> np.ndarray:
    """Per cent of each type of joint and their mean at every threshold, [thresholds,joints+1]."""
    rows = [100 * pck(distances, threshold) for threshold in THRESHOLDS]
    return np.stack([[*row, row.mean()] for row in rows])


def test_pck_of_peer_joints_is_that_of_the_peer(peer: dict[str, np.ndarray]) -> None:
    distances = []
    for clip in range(CLIPS):
        height, width = frame_size(peer, clip)
        cells = peer[f"cells{clip}"].transpose(2, 1, 0)
        joints = cells * np.array([width, height]) / peer["soft"].shape[1]
        lost = cells[..., :1] < 0
        distances.append(
            relative_distances(truth_of(peer, clip), np.where(lost, np.nan, joints))[1:]
        )
    np.testing.assert_allclose(table(np.concatenate(distances)), peer["pck"], rtol=0, atol=1e-9)


def test_joints_of_peer_maps_score_as_in_the_peer(peer: dict[str, np.ndarray]) -> None:
    distances = [
        relative_distances(truth_of(peer, clip), read_out(peer, clip))[1:] for clip in range(CLIPS)
    ]
    np.testing.assert_allclose(table(np.concatenate(distances)), peer["pck"], rtol=0, atol=1e-9)


def test_readout_of_peer_maps_is_that_of_the_peer(peer: dict[str, np.ndarray]) -> None:
    for clip in range(CLIPS):
        height, width = frame_size(peer, clip)
        cells = read_out(peer, clip) * peer["soft"].shape[1] / np.array([width, height])
        expected = peer[f"cells{clip}"].transpose(2, 1, 0)
        np.testing.assert_array_equal(np.isnan(cells), expected < 0)
        np.testing.assert_allclose(np.nan_to_num(cells, nan=-1), expected, rtol=0, atol=1e-4)


def test_first_maps_are_those_of_the_peer(peer: dict[str, np.ndarray]) -> None:
    for clip in range(CLIPS):
        maps = cell_joint_maps(truth_of(peer, clip)[0], frame_size(peer, clip), (20, 20))
        expected = peer[f"first_maps{clip}"].transpose(2, 0, 1)
        np.testing.assert_array_equal(maps.astype(np.float32), expected)


def test_a_joint_is_found_within_a_share_of_six_tenths_of_the_diagonal() -> None:
    # The box is 30 x 40, so the unit is 30 pixels; its last joint lies outside of any image.
    truth = np.array([[[0, 0], [30, 0], [10, -5], [30, -40]]], dtype=float)
    moved = truth + np.array([[[3, 0], [0, 3.1], [0, -6], [0, 0]]])
    distances = relative_distances(truth, moved)
    np.testing.assert_allclose(distances, [[0.1, 3.1 / 30, 0.2, 0]])
    assert pck(distances, 0.1 + 1e-12).tolist() == [1, 0, 0, 1]
    assert pck(distances, 0.2 + 1e-12).tolist() == [1, 1, 1, 1]


def test_lost_joints_count_neither_in_the_box_nor_in_the_share() -> None:
    truth = np.array([[[0, 0], [30, 40], [300, 400]], [[0, 0], [30, 40], [300, 400]]], dtype=float)
    prediction = truth + 0.0
    prediction[0, 2] = np.nan
    prediction[:, 0] += [0, 6]
    distances = relative_distances(truth, prediction)
    np.testing.assert_allclose(distances, [[0.2, 0, np.nan], [0.02, 0, 0]])
    assert pck(distances, 0.1).tolist() == [0.5, 1, 1]
    assert np.isnan(pck(distances[:1], 0.1)[2])


def test_a_single_joint_has_no_box_and_is_not_found() -> None:
    truth = np.array([[[5, 5], [9, 9]]], dtype=float)
    prediction = np.array([[[5, 5], [np.nan, np.nan]]])
    distances = relative_distances(truth, prediction)
    assert distances[0, 0] == np.inf
    assert pck(distances, 0.5)[0] == 0
    assert np.isnan(relative_distances(truth, np.full_like(truth, np.nan))).all()


@given(seeds, st.floats(0.1, 50), st.integers(-100, 100))
def test_size_and_place_of_the_person_do_not_matter(
    rng: np.random.Generator, scale: float, shift: int
) -> None:
    truth, prediction = rng.uniform(0, 100, (2, 4, 15, 2))
    prediction[rng.random((4, 15)) < 0.2] = np.nan
    distances = relative_distances(truth, prediction)
    np.testing.assert_allclose(
        relative_distances(scale * truth + shift, scale * prediction + shift), distances
    )
    assert (np.isnan(distances) == np.isnan(prediction).any(axis=2)).all()


@given(seeds, st.sampled_from([(120, 160), (240, 320), (320, 320), (97, 201)]))
def test_joints_come_back_from_their_cells_within_two_cells(
    rng: np.random.Generator, size: tuple[int, int]
) -> None:
    joints = rng.uniform(0, 1, (15, 2)) * np.array(size[::-1])
    maps = cell_joint_maps(joints, size, (20, 20))
    assert maps.shape == (16, 20, 20)
    np.testing.assert_array_equal(maps[0] == 1, maps[1:].sum(axis=0) == 0)
    cell = np.array(size[::-1]) / 20
    for strongest in (1, 3, 5):
        found = joints_of_cell_maps(maps[1:], size, strongest)
        seen = ~np.isnan(found[:, 0])
        # Only one beyond the centres of the last cells may be cut off; see the names of the window.
        assert (joints[~seen] > np.array(size[::-1]) - cell).any(axis=1).all()
        assert (np.abs(found - joints)[seen] <= 2 * cell).all()


def test_a_joint_that_overlaps_another_keeps_its_own_channel() -> None:
    joints = np.array([[80.0, 80.0], [84.0, 80.0]])
    maps = cell_joint_maps(joints, (160, 160), (20, 20))
    alone = cell_joint_maps(joints[:1], (160, 160), (20, 20))
    np.testing.assert_array_equal(maps[1], alone[1])
    assert maps[1:].max(axis=(1, 2)).tolist() == [1, 1]


def test_empty_maps_are_lost_joints() -> None:
    assert np.isnan(joints_of_cell_maps(np.zeros((2, 4, 5)), (32, 40))).all()
    far_outside = cell_joint_maps(np.array([[-90.0, 10.0]]), (160, 160), (20, 20))
    assert far_outside[0].all()
    assert not far_outside[1].any()
