"""The streaming core: frames in, object ids out; encoder and label propagation joined, at any frame size."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos_eval.encoders import Encoder, padded_to, scaled_size
from densevos_eval.propagation import LabelPropagation
from densevos_eval.settings import PropagationConfig


class Propagator:
    """Follows objects through one video: frames in, object ids out, any frame size, any ids up to 255.

    Memory does not grow with the length of the video.
    """

    def __init__(self, encoder: Encoder, config: PropagationConfig | None = None):
        self.encoder = encoder
        self._labels = LabelPropagation(config=config or PropagationConfig())

    def step(self, frame: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Take the next frame [H,W,3] uint8 RGB; return its object ids [H,W] uint8.

        mask: ids [H,W] of objects known in this frame (0: nothing known, in the first mask background).
        Objects seen for the first time join the others; a known object is restarted from its new mask.
        Until the first mask everything is background.
        """
        return self.follow(self.encoder.of_frame(frame), (frame.shape[0], frame.shape[1]), mask)

    @torch.inference_mode()
    def follow(self, features: Tensor, size: tuple[int, int], mask: np.ndarray | None = None) -> np.ndarray:
        """`step` for a frame [H,W] = `size` whose features [C,h,w] are known already."""
        cells = (features.shape[-2], features.shape[-1])
        first = not self._labels.ids
        given = None if mask is None else self._given(mask, cells, features.device)
        soft = self._labels.step(features, given)
        scaled = scaled_size(size, self.encoder.scale)
        padded = (scaled[0] + -scaled[0] % self.encoder.stride, scaled[1] + -scaled[1] % self.encoder.stride)
        labels = upsampled_labels(soft, self._labels.ids, padded, scaled, size).cpu().numpy()
        if mask is None:
            return labels
        return mask if first else np.where(mask > 0, mask, labels)

    def _given(self, mask: np.ndarray, cells: tuple[int, int], device: torch.device) -> dict[int, Tensor]:
        """Soft masks [h,w] of the objects in `mask`, and of the background if this is the first mask."""
        objects = [int(i) for i in np.unique(mask) if i > 0]
        ids = objects if self._labels.ids else [0, *objects]
        size = scaled_size((mask.shape[0], mask.shape[1]), self.encoder.scale)
        padded = torch.from_numpy(padded_to(resized_ids(mask, size), self.encoder.stride)).to(device)
        return {i: resized((padded == i).float(), cells) for i in ids}


def upsampled_labels(
    soft: Tensor, ids: list[int], padded: tuple[int, int], scaled: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Id of the largest soft mask after bilinear upsampling: [L,h,w] -> [H,W] uint8; the first of equals wins.

    padded: size that the cells cover; scaled: the part of it that is the frame; size: [H,W] of the result.
    One channel is held at full size at a time.
    """
    labels = torch.zeros(size, dtype=torch.uint8, device=soft.device)
    highest = torch.full(size, -torch.inf, device=soft.device)
    for object_id, channel in zip(ids, soft, strict=True):
        channel = resized(channel, padded)[: scaled[0], : scaled[1]]
        channel = channel if scaled == size else resized(channel, size)
        labels = torch.where(channel > highest, object_id, labels)
        highest = torch.maximum(highest, channel)
    return labels


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """One channel [H,W] resized bilinearly with corners aligned."""
    return F.interpolate(image[None, None], size=size, mode="bilinear", align_corners=True)[0, 0]


def resized_ids(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The mask resized with nearest neighbour to [H,W] = `size`; itself if it has that size."""
    return mask if mask.shape == size else cv2.resize(mask, size[::-1], interpolation=cv2.INTER_NEAREST)
