"""Joints of a first frame propagated through a video, as soft maps in the place of masks."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from densevos.data.readers import iterate_frames, open_frames
from densevos.errors import InputError
from densevos.files import new_folder
from densevos_eval.encoders import Encoder
from densevos_eval.keypoints import FILE, joint_maps, joints_of_maps, read_positions, write_joints
from densevos_eval.propagation import LabelPropagation
from densevos_eval.sequences import Sequence
from densevos_eval.settings import PropagationConfig


@torch.inference_mode()
def propagate_joints(
    frames: Iterator[np.ndarray], first: np.ndarray, encoder: Encoder, config: PropagationConfig
) -> Iterator[np.ndarray]:
    """Joints (x, y) [joints,2] of every frame [H,W,3] uint8, from those of the first; NaN where one is lost."""
    labels = LabelPropagation(config=config)
    for index, frame in enumerate(frames):
        features = encoder.of_frame(frame)
        padded = (
            features.shape[1] * encoder.stride / encoder.scale,
            features.shape[2] * encoder.stride / encoder.scale,
        )
        given = None
        if index == 0:
            maps = joint_maps(first, padded, (features.shape[1], features.shape[2]))
            channels = np.concatenate([1 - maps.sum(axis=0, keepdims=True), maps])
            given = {id: torch.from_numpy(one).to(features) for id, one in enumerate(channels)}
        soft = labels.step(features, given)[1:].float().cpu().numpy()
        yield first if index == 0 else joints_of_maps(soft, padded)


def propagate_joints_to_folder(
    sequences: list[Sequence],
    encoder: Encoder,
    config: PropagationConfig,
    out: Path,
    *,
    overwrite: bool = False,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """Write OUT/SEQUENCE/joints.json for every sequence, from the true joints of its first frame.

    `on_frame` is called with the sequence's name after each of its frames. Raises InputError for files and folders that
    cannot be used, and when the joints are of another number of frames than there are.
    """
    new_folder(out, overwrite=overwrite)
    for sequence in sequences:
        assert sequence.joints is not None, "the layout of a benchmark of joints names their file"
        truth = read_positions(sequence.joints)
        if len(truth) > len(sequence.frame_names):
            raise InputError(
                f"{sequence.joints}: has joints of {len(truth)} frames, but {sequence.source} holds"
                f" {len(sequence.frame_names)} images; get the set again"
            )
        found = []
        frames = iterate_frames(open_frames(sequence.source))
        for joints in propagate_joints(frames, truth[0], encoder, config):
            found.append(joints)
            on_frame(sequence.name)
        (out / sequence.name).mkdir(parents=True)
        write_joints(out / sequence.name / FILE, np.stack(found)[: len(truth)])
