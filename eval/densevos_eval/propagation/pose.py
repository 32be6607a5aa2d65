"""Joints of a first frame propagated through a video, as soft maps in the place of masks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import tee
from pathlib import Path

import numpy as np
import torch

from densevos.base.errors import InputError
from densevos.data.sources.source import iterate_frames
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.adapters.frames import FrameSizes
from densevos_eval.base.devices import to_device
from densevos_eval.base.sizes import Size
from densevos_eval.propagation.joint_maps import (
    cell_joint_maps,
    joint_maps,
    joints_of_cell_maps,
    joints_of_maps,
)
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig
from densevos_eval.sequences.joints import FILE, read_positions, write_joints
from densevos_eval.sequences.sequence import VideoSequence


@torch.inference_mode()
def propagate_joints(
    frames: Iterable[np.ndarray],
    first: np.ndarray,
    encoder: Encoder,
    config: PropagationConfig,
    masks: MaskConfig | None = None,
) -> Iterator[np.ndarray]:
    """Joints (x, y) [joints,2] of every frame [H,W,3] uint8, from those of the first; NaN where one
    is lost.

    masks: How joints become labels of cells, and labels of cells joints.
    """
    masks = masks or MaskConfig()
    labels = LabelPropagation(config=config)
    encoder = replace(encoder, unit=config.similarity == "cosine")
    frames, encoded = tee(frames)  # encoding may read a few frames further

    for index, (frame, features) in enumerate(
        zip(frames, encoder.stream().over(encoded), strict=True)
    ):
        sizes = encoder.sizes((frame.shape[0], frame.shape[1]))
        given = None
        if index == 0:
            channels = _on_cells(first, sizes, (features.shape[1], features.shape[2]), masks)
            given = {
                id: to_device(one.astype(np.float32), features.device)
                for id, one in enumerate(channels)
            }

        soft = labels.step(features, given)[1:].float().cpu().numpy()
        yield first if index == 0 else _read_out(soft, sizes, masks)


def _on_cells(joints: np.ndarray, sizes: FrameSizes, cells: Size, masks: MaskConfig) -> np.ndarray:
    """Background and joints as labels of cells [1+joints,h,w]."""
    if masks.joints == "cells":
        return cell_joint_maps(joints, sizes.frame, cells)

    factor = np.array(sizes.encoded[::-1]) / sizes.frame[::-1]
    maps = joint_maps((joints + 0.5) * factor - 0.5, sizes.covered, cells)
    return np.concatenate([1 - maps.sum(axis=0, keepdims=True), maps])


def _read_out(soft: np.ndarray, sizes: FrameSizes, masks: MaskConfig) -> np.ndarray:
    """Joints (x, y) [joints,2] of the frame from their labels of cells [joints,h,w]."""
    if masks.joints == "cells":
        return joints_of_cell_maps(soft, sizes.frame, masks.joint_cells)

    factor = np.array(sizes.encoded[::-1]) / sizes.frame[::-1]
    return (joints_of_maps(soft, sizes.covered, masks.joint_cells) + 0.5) / factor - 0.5


def check_joints(sequence: VideoSequence) -> np.ndarray:
    """The true joints (x, y) [frames,joints,2] of a sequence; InputError when they are of more
    frames than it has.
    """
    assert sequence.joints is not None, "the layout of a benchmark of joints names their file"
    truth = read_positions(sequence.joints)
    if len(truth) > len(sequence.frame_names):
        raise InputError(
            f"{sequence.joints}: has joints of {len(truth)} frames, but {sequence.source} holds"
            f" {len(sequence.frame_names)} images; get the set again"
        )

    return truth


def write_propagated_joints(
    sequence: VideoSequence,
    encoder: Encoder,
    config: PropagationConfig,
    masks: MaskConfig,
    folder: Path,
    on_frame: Callable[[str], object],
) -> None:
    """Write FOLDER/joints.json: those of every frame, from the true joints of the first.

    `on_frame` is called with the sequence's name after each frame. Raises InputError for files that
    cannot be used.
    """
    truth = check_joints(sequence)
    found = []
    for joints in propagate_joints(
        iterate_frames(sequence.frames()), truth[0], encoder, config, masks
    ):
        found.append(joints)
        on_frame(sequence.name)

    write_joints(folder / FILE, np.stack(found)[: len(truth)])
