"""The streaming core: frames in, object ids out; encoder and label propagation joined, at any frame size."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos.base.masks import as_ids
from densevos_eval.adapters.encoder import Encoder, check_array, check_frame, padded_to, scaled_size
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.settings import PropagationConfig
from densevos_eval.sequences.sequence import resized_ids


@dataclass(frozen=True, kw_only=True)
class _Last:
    """The last frame: its soft masks [L,h,w], the sizes that `upsampled` wants, and the labels [H,W], which were
    given where `decided` [H,W] says so."""

    soft: Tensor
    sizes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
    labels: np.ndarray
    decided: np.ndarray


class Propagator:
    """Follows objects through one video: frames in, object ids out, any frame size, any ids up to 255.

    Memory does not grow with the length of the video. It grows with the size of frames; those with a side longer than
    `max_side` pixels are worked on smaller, while masks have the frames' own size.
    """

    def __init__(self, encoder: Encoder, config: PropagationConfig | None = None, *, max_side: int | None = None):
        if not isinstance(encoder, Encoder):
            raise InputError(f"Propagator: its encoder must come from load_encoder, is a {type(encoder).__name__}")
        if not isinstance(config, PropagationConfig | None):
            raise InputError(f"Propagator: its config must be a PropagationConfig, is a {type(config).__name__}")
        if max_side is not None and max_side < 1:
            raise InputError(f"Propagator: max_side must be 1 or more pixels, is {max_side}")
        self.encoder = encoder
        self.max_side = max_side
        self._labels = LabelPropagation(config=config or PropagationConfig())
        self._last: _Last | None = None

    def step(self, frame: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
        """Take the next frame [H,W,3] uint8 RGB; return its object ids [H,W] uint8.

        mask: ids [H,W] of objects known in this frame (0: nothing known, in the first mask background), of any type
        of numbers, bool included; soft masks are refused.
        Objects seen for the first time join the others; a known object is restarted from its new mask.
        Until the first mask everything is background.

        Raises InputError when frame or mask have another shape or type, or another size than those before.
        """
        check_frame(frame)
        size = (frame.shape[0], frame.shape[1])
        if self._last and self._last.sizes[2] != size:
            raise InputError(f"frame: is {size} after frames of {self._last.sizes[2]}; start another Propagator")
        if mask is not None:
            check_array("mask", mask)
            wanted = f"mask: must hold ids 0 to 255 at the frame's size {size}"
            if mask.shape != size:
                raise InputError(f"{wanted}, is {mask.dtype} {mask.shape}")
            mask = as_ids(mask, wanted)
        self.encoder = fitted(self.encoder, size, self.max_side)
        return self.follow(self.encoder.of_frame(frame), size, mask)

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
        decided = np.zeros(size, bool) if mask is None else (mask > 0) | first
        labels = labels if mask is None else np.where(decided, mask, labels)
        self._last = _Last(soft=soft, sizes=(padded, scaled, size), labels=labels, decided=decided)
        return labels

    @torch.inference_mode()
    def probabilities(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each object id (0: background) and its soft mask [H,W] float32 in the last frame; they sum to 1.

        Soft masks are those of the cells, enlarged bilinearly; a mask that was given is itself.
        """
        if self._last is None:
            return
        soft, last = self._last.soft, self._last
        share = soft / soft.sum(0).clamp(min=torch.finfo(soft.dtype).tiny)
        for id, channel in zip(self._labels.ids, share, strict=True):
            probability = upsampled(channel, *last.sizes).cpu().numpy()
            yield id, np.where(last.decided, last.labels == id, probability)

    def _given(self, mask: np.ndarray, cells: tuple[int, int], device: torch.device) -> dict[int, Tensor]:
        """Soft masks [h,w] of the objects in `mask`, and of the background if this is the first mask."""
        objects = [int(i) for i in np.unique(mask) if i > 0]
        ids = objects if self._labels.ids else [0, *objects]
        size = scaled_size((mask.shape[0], mask.shape[1]), self.encoder.scale)
        padded = torch.from_numpy(padded_to(resized_ids(mask, size), self.encoder.stride)).to(device)
        return {i: resized((padded == i).float(), cells) for i in ids}


def fitted(encoder: Encoder, size: tuple[int, int], max_side: int | None) -> Encoder:
    """The encoder with a scale that brings frames [H,W] = `size` to sides of at most `max_side` pixels."""
    return encoder if max_side is None else replace(encoder, scale=min(encoder.scale, max_side / max(size)))


def upsampled_labels(
    soft: Tensor, ids: list[int], padded: tuple[int, int], scaled: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Id of the largest soft mask after bilinear upsampling: [L,h,w] -> [H,W] uint8; the first of equals wins.

    Sizes as in `upsampled`. One channel is held at full size at a time.
    """
    labels = torch.zeros(size, dtype=torch.uint8, device=soft.device)
    highest = torch.full(size, -torch.inf, device=soft.device)
    for object_id, channel in zip(ids, soft, strict=True):
        channel = upsampled(channel, padded, scaled, size)
        labels = torch.where(channel > highest, object_id, labels)
        highest = torch.maximum(highest, channel)
    return labels


def upsampled(channel: Tensor, padded: tuple[int, int], scaled: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """A channel [h,w] of the cells at the frame's size [H,W].

    padded: size that the cells cover; scaled: the part of it that is the frame; size: [H,W] of the result.
    """
    channel = resized(channel, padded)[: scaled[0], : scaled[1]]
    if scaled == size:
        return channel
    return F.interpolate(channel[None, None], size=size, mode="bilinear", align_corners=False)[0, 0]  # as cv2 shrinks


def resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    """One channel [H,W] resized bilinearly with corners aligned."""
    return F.interpolate(image[None, None], size=size, mode="bilinear", align_corners=True)[0, 0]
