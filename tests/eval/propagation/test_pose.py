"""Joints and masks propagated through frames that are resized to another aspect first."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from densevos.base.masks import write_mask
from densevos_eval.adapters.encoder import load_encoder
from densevos_eval.adapters.frames import FrameConfig
from densevos_eval.base.sizes import size_text
from densevos_eval.propagation.joint_maps import cell_joint_maps
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.pose import propagate_joints
from densevos_eval.propagation.propagate import propagate
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.protocols.jhmdb import JHMDB
from densevos_eval.protocols.vip import VIP
from densevos_eval.sequences.sequence import VideoSequence

STILL = PropagationConfig(context=1, radius=2, topk=1)
SIZES = [None, (96, 96), (48, 128)]  # of frames that are 64x128


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """Noise, so that no two cells look alike."""
    noise = np.random.default_rng(0).integers(0, 256, (16, 32, 3), dtype=np.uint8)
    return cv2.resize(noise, (128, 64))


def test_sizes_of_the_benchmarks_are_those_of_the_paper() -> None:
    assert (JHMDB.frame_size, VIP.frame_size) == ((320, 320), (560, 560))


@pytest.mark.parametrize("size", SIZES)
def test_joints_of_a_still_stay_where_they_are(
    frame: np.ndarray, size: tuple[int, int] | None
) -> None:
    joints = np.array([[12.0, 12.0], [60.5, 30.25], [100.0, 50.0]])
    frames = FrameConfig(frame_size=size_text(size) if size else None)
    encoder = load_encoder("random:resnet18", device="cpu", frames=frames)
    first, *others = propagate_joints([frame] * 3, joints, encoder, STILL)
    np.testing.assert_array_equal(first, joints)
    height, width = size or frame.shape[:2]
    cell = 8 * np.array([128 / width, 64 / height])
    for found in others:
        assert (np.abs(found - joints) <= cell / 2).all()


@pytest.mark.parametrize("size", SIZES)
def test_masks_of_a_still_stay_where_they_are(
    frame: np.ndarray, size: tuple[int, int] | None, tmp_path: Path
) -> None:
    mask = np.zeros((64, 128), np.uint8)
    mask[16:48, 32:96] = 3
    for name in ("0", "1", "2"):
        Image.fromarray(frame).save(tmp_path / f"{name}.png")
    (tmp_path / "given").mkdir()
    write_mask(tmp_path / "given" / "0.png", mask)
    sequence = VideoSequence(
        name="still",
        source=tmp_path,
        frame_names=("0", "1", "2"),
        given={0: tmp_path / "given" / "0.png"},
    )
    encoder = load_encoder("random:resnet18", device="cpu")
    for name, ids in propagate(replace(sequence, frame_size=size), encoder, STILL):
        assert ids.shape == mask.shape
        assert ids.dtype == np.uint8
        assert set(np.unique(ids)) <= {0, 3}
        assert np.mean(ids == mask) > 0.9, name


def test_given_joints_are_the_first_labels_of_cells_where_bumps_overlap_or_end() -> None:
    """Maps of the published programs do not add up to 1: the first frame's labels are those maps
    all the same.
    """
    joints = np.array([[30.0, 40.0], [36.0, 44.0], [110.0, 70.0]])
    maps = cell_joint_maps(joints, (120, 160), (15, 20))
    assert not np.allclose(maps.sum(axis=0), 1)

    features = torch.randn(8, 15, 20, generator=torch.Generator().manual_seed(0))
    given = {id: torch.from_numpy(one).float() for id, one in enumerate(maps)}
    soft = LabelPropagation(config=PropagationConfig()).step(features, given)
    np.testing.assert_allclose(soft.numpy(), maps, atol=1e-6)
