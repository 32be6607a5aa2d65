"""Propagate the joints of a first frame through a video, as soft maps instead of masks."""

# Shapes: H x W pixels of a frame, h x w cells of the feature map. A joint is (x, y) in pixels.

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
    """Propagate joints through a video.

    Args:
        frames: Frames [H,W,3] uint8 RGB.
        first: Joints of the first frame, [joints,2].
        encoder: What `load_encoder` returned.
        config: Settings of label propagation.
        masks: How joints become labels of cells and back; the defaults when left out.

    Yields:
        The joints of each frame, [joints,2]; NaN for a lost one.
    """
    masks = masks or MaskConfig()
    labels = LabelPropagation(config=config)
    # Only a cosine needs unit vectors; a dot product compares features as they are.
    encoder = replace(encoder, unit=config.similarity == "cosine")

    # The encoder may read a few frames further than propagation; `tee` keeps those.
    frames, encoded = tee(frames)
    features_of_frames = encoder.stream().over(encoded)

    for index, (frame, features) in enumerate(zip(frames, features_of_frames, strict=True)):
        sizes = encoder.sizes((frame.shape[0], frame.shape[1]))
        given = None
        if index == 0:
            # Each map is the soft mask of an object: id 0 is the background, id 1 the first joint.
            maps = _on_cells(first, sizes, (features.shape[1], features.shape[2]), masks)
            channels = [to_device(channel.astype(np.float32), features.device) for channel in maps]
            given = dict(enumerate(channels))

        # Channel 0 is the background.
        soft = labels.step(features, given)[1:].float().cpu().numpy()
        yield first if index == 0 else _read_out(soft, sizes, masks)


def _on_cells(joints: np.ndarray, sizes: FrameSizes, cells: Size, masks: MaskConfig) -> np.ndarray:
    """Background and joints as labels of cells [1+joints,h,w]."""
    if masks.joints == "cells":
        return cell_joint_maps(joints, sizes.frame, cells)

    # Resizing keeps the borders of the image in place. They are half a pixel outside the centres.
    factor = np.array(sizes.encoded[::-1]) / sizes.frame[::-1]
    maps = joint_maps((joints + 0.5) * factor - 0.5, sizes.covered, cells)
    return np.concatenate([1 - maps.sum(axis=0, keepdims=True), maps])


def _read_out(soft: np.ndarray, sizes: FrameSizes, masks: MaskConfig) -> np.ndarray:
    """Joints (x, y) [joints,2] of the frame from their labels of cells [joints,h,w]."""
    if masks.joints == "cells":
        return joints_of_cell_maps(soft, sizes.frame, masks.joint_cells)

    factor = np.array(sizes.encoded[::-1]) / sizes.frame[::-1]
    joints: np.ndarray = (
        joints_of_maps(soft, sizes.covered, masks.joint_cells) + 0.5
    ) / factor - 0.5
    return joints


def check_joints(sequence: VideoSequence) -> np.ndarray:
    """Read the true joints of a sequence.

    Returns:
        Joints [frames,joints,2].

    Raises:
        InputError: The file of joints cannot be used, or has more frames than the sequence.
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
    """Propagate the true joints of the first frame and write those of every frame.

    Args:
        sequence: A sequence with joints.
        encoder: What `load_encoder` returned.
        config: Settings of label propagation.
        masks: How joints become labels of cells and back.
        folder: Where joints.json is written.
        on_frame: Called with the name of the sequence after each frame.

    Raises:
        InputError: Files of the sequence cannot be used.
    """
    truth = check_joints(sequence)
    frames = iterate_frames(sequence.frames())
    joints = []
    for joints_of_frame in propagate_joints(frames, truth[0], encoder, config, masks):
        joints.append(joints_of_frame)
        on_frame(sequence.name)

    # A sequence may have more frames than joints. Only frames with true joints are scored.
    write_joints(folder / FILE, np.stack(joints)[: len(truth)])
