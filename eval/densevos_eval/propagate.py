"""From sequences to masks on disk: encoder, label propagation, object ids and files joined."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.data.readers import iterate_frames, open_frames
from densevos.errors import InputError
from densevos.files import new_folder, write_json
from densevos.masks import write_mask
from densevos_eval.encoders import Encoder
from densevos_eval.propagation import LabelPropagation
from densevos_eval.sequences import Sequence, read_given
from densevos_eval.settings import PropagationConfig


class Propagator:
    """Follows objects through one video: frames in, object ids out, any frame size, any ids up to 255.

    Memory does not grow with the length of the video.
    """

    def __init__(self, encoder: Encoder, config: PropagationConfig | None = None):
        self.encoder = encoder
        self._labels = LabelPropagation(config=config or PropagationConfig())

    @torch.inference_mode()
    def step(self, frame: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Take the next frame [H,W,3] uint8 RGB; return its object ids [H,W] uint8.

        mask: ids [H,W] of objects known in this frame (0: nothing known, in the first mask background).
        Objects seen for the first time join the others; a known object is restarted from its new mask.
        Until the first mask everything is background.
        """
        height, width = frame.shape[:2]
        padded = _padded(frame, self.encoder.stride)
        features = self.encoder(_as_batch(padded))[0]
        first = not self._labels.ids
        given = None if mask is None else self._given(mask, features)
        soft = self._labels.step(features, given)
        labels = upsampled_labels(soft, self._labels.ids, padded.shape[:2])[:height, :width].cpu().numpy()
        if mask is None:
            return labels
        return mask if first else np.where(mask > 0, mask, labels)

    def _given(self, mask: np.ndarray, features: Tensor) -> dict[int, Tensor]:
        """Soft masks [h,w] of the objects in `mask`, and of the background if this is the first mask."""
        objects = [int(i) for i in np.unique(mask) if i > 0]
        ids = objects if self._labels.ids else [0, *objects]
        padded = torch.from_numpy(_padded(mask, self.encoder.stride)).to(features.device)
        return {i: resized((padded == i).float(), (features.shape[-2], features.shape[-1])) for i in ids}


def upsampled_labels(soft: Tensor, ids: list[int], size: tuple[int, int]) -> Tensor:
    """Id of the largest soft mask after bilinear upsampling: [L,h,w] -> [H,W] uint8; the first of equals wins.

    One channel is held at full size at a time.
    """
    labels = torch.zeros(size, dtype=torch.uint8, device=soft.device)
    highest = torch.full(size, -torch.inf, device=soft.device)
    for object_id, channel in zip(ids, soft, strict=True):
        channel = resized(channel, size)
        labels = torch.where(channel > highest, object_id, labels)
        highest = torch.maximum(highest, channel)
    return labels


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """One channel [H,W] resized bilinearly with corners aligned."""
    return F.interpolate(image[None, None], size=size, mode="bilinear", align_corners=True)[0, 0]


def _padded(image: np.ndarray, stride: int) -> np.ndarray:
    """Edge pixels repeated at the bottom and right until both sides are multiples of `stride`."""
    sides = [(0, -length % stride) for length in image.shape[:2]]
    return np.pad(image, [*sides, *[(0, 0)] * (image.ndim - 2)], mode="edge")


def _as_batch(frame: np.ndarray) -> Tensor:
    return torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 255


def propagate(sequence: Sequence, encoder: Encoder, config: PropagationConfig) -> Iterator[tuple[str, np.ndarray]]:
    """Name and object ids [H,W] uint8 of each frame of the sequence, one at a time, from its given masks."""
    given = read_given(sequence)
    propagator = Propagator(encoder, config)
    frames = iterate_frames(open_frames(sequence.source))
    for index, (name, frame) in enumerate(zip(sequence.frame_names, frames, strict=True)):
        yield name, propagator.step(frame, given.get(index))


def propagate_to_folder(
    sequences: list[Sequence],
    encoder: Encoder,
    config: PropagationConfig,
    out: Path,
    *,
    overwrite: bool = False,
    on_frame: Callable[[str], object] = lambda name: None,
) -> None:
    """Write OUT/SEQUENCE/FRAME.png for every frame and OUT/propagation.json, the record of the run.

    All given masks are checked before `out` is touched. `on_frame` is called with the sequence's name after
    each of its frames. Raises InputError for masks, frames and folders that cannot be used.
    """
    for sequence in sequences:
        if not read_given(sequence):
            raise InputError(f"{sequence.source}: no mask is given; propagation needs that of the first frame")
    new_folder(out, overwrite=overwrite)
    seconds = {}
    for sequence in sequences:
        start = time.perf_counter()
        (out / sequence.name).mkdir(parents=True)
        for name, ids in propagate(sequence, encoder, config):
            if name in sequence.written:
                write_mask(out / sequence.name / f"{name}.png", ids)
            on_frame(sequence.name)
        seconds[sequence.name] = round(time.perf_counter() - start, 2)
    record = {
        "encoder": encoder.name,
        "layer": encoder.layer,
        "precision": encoder.precision,
        "device": str(encoder.device),
        "propagation": asdict(config),
        "frames": {sequence.name: len(sequence.frame_names) for sequence in sequences},
        "seconds": seconds,
    }
    write_json(out / "propagation.json", record)
