"""The streaming core: frames in, object ids out; encoder and label propagation joined, at any frame
size.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from densevos.base.errors import InputError, RunError
from densevos.base.masks import as_ids
from densevos_eval.adapters.arrays import check_array, check_frame
from densevos_eval.adapters.encoder import Encoder
from densevos_eval.adapters.frames import FrameSizes, nearest
from densevos_eval.adapters.stream import Stream
from densevos_eval.base.sizes import Size
from densevos_eval.propagation.ahead import peeked
from densevos_eval.propagation.cells import enlarged, labels_of_cells, labels_of_pixels
from densevos_eval.propagation.labels import LabelPropagation
from densevos_eval.propagation.searches import new_search
from densevos_eval.propagation.settings import MaskConfig, PropagationConfig


@dataclass(frozen=True, kw_only=True)
class _Last:
    """The last frame: its soft labels of cells [L,h,w], its sizes, and the labels [H,W] of its
    pixels, which were given where `decided` [H,W] says so."""

    soft: Tensor
    sizes: FrameSizes
    labels: np.ndarray
    decided: np.ndarray


class Propagator:
    """Follows objects through one video: frames in, object ids out, any frame size, any ids up to
    255.

    Memory does not grow with the length of the video. It grows with the size of frames; those with
    a side longer than `max_side` pixels are worked on smaller, while masks have the frames' own
    size.
    """

    def __init__(
        self,
        encoder: Encoder,
        config: PropagationConfig | None = None,
        masks: MaskConfig | None = None,
        *,
        max_side: int | None = None,
    ):
        if not isinstance(encoder, Encoder):
            raise InputError(
                f"Propagator: its encoder must come from load_encoder, is a {type(encoder).__name__}"
            )

        if not isinstance(config, PropagationConfig | None):
            raise InputError(
                f"Propagator: its config must be a PropagationConfig, is a {type(config).__name__}"
            )

        if not isinstance(masks, MaskConfig | None):
            raise InputError(
                f"Propagator: its masks must be a MaskConfig, is a {type(masks).__name__}"
            )

        if max_side is not None and max_side < 1:
            raise InputError(f"Propagator: max_side must be 1 or more pixels, is {max_side}")

        config = config or PropagationConfig()
        self.encoder = replace(encoder, unit=config.similarity == "cosine", checks=False)
        self.masks = masks or MaskConfig()
        self.max_side = max_side
        search = partial(new_search, bf16=encoder.precision == "bf16")
        self._labels = LabelPropagation(config=config, new_search=search)
        self._last: _Last | None = None
        self._stream: Stream | None = None

    def features(self, frames: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """Features [C,h,w] of each frame of a whole video, for `step`; frames are read ahead as the
        encoder needs.
        """
        first, frames = peeked(frames)
        if first is None:
            return

        check_frame(first)
        self.encoder = fitted(self.encoder, (first.shape[0], first.shape[1]), self.max_side)
        yield from self.encoder.stream().over(frames)

    def step(
        self, frame: np.ndarray, mask: np.ndarray | None = None, features: Tensor | None = None
    ) -> np.ndarray:
        """Take the next frame [H,W,3] uint8 RGB; return its object ids [H,W] uint8.

        mask: ids [H,W] of objects known in this frame (0: nothing known, in the first mask
        background), of any type of numbers, bool included; soft masks are refused.
        Objects seen for the first time join the others; a known object is restarted from its new
        mask. Until the first mask everything is background.
        features: those of the frame [C,h,w], where they are known.

        Raises InputError when frame or mask have another shape or type, or another size than those
        before.
        """
        check_frame(frame)
        size = (frame.shape[0], frame.shape[1])
        if self._last and self._last.sizes.frame != size:
            raise InputError(
                f"frame: is {size} after frames of {self._last.sizes.frame}; start another Propagator"
            )

        if mask is not None:
            mask = _checked_mask(mask, size)

        self.encoder = fitted(self.encoder, size, self.max_side)
        if features is None:
            self._stream = self._stream or self.encoder.stream()
            features = self._stream.step(frame)

        return self.follow(features, size, mask)

    @torch.inference_mode()
    def follow(self, features: Tensor, size: Size, mask: np.ndarray | None = None) -> np.ndarray:
        """`step` for a frame [H,W] = `size` whose features [C,h,w] are known already.

        Of a GPU the host fetches the labels, and waits for nothing else. Raises InputError for
        features that are not finite.
        """
        sizes = self.encoder.sizes(size)
        first = not self._labels.ids
        given = None if mask is None else self._given(mask, sizes, features)
        soft = self._labels.step(features, given)
        labels, is_finite = _fetched(
            labels_of_pixels(soft, self._labels.ids, sizes, self.masks), features.isfinite().all()
        )
        if not is_finite:
            raise self.encoder.not_finite(features.dtype)

        labels = nearest(labels, self.masks.output_size(size))

        decided = np.zeros(labels.shape, bool)
        if mask is not None and self.masks.first_output == "given":
            mask = nearest(mask, labels.shape)
            decided = (mask > 0) | first
            labels = np.where(decided, mask, labels)

        self._last = _Last(soft=soft, sizes=sizes, labels=labels, decided=decided)
        return labels

    @property
    def recalls(self) -> bool:
        """Whether frames can be recalled: the features of a frame depend on that frame alone."""
        return self.encoder.new_memory is None and self.encoder.every == 1

    @torch.inference_mode()
    def recall(self, frame: np.ndarray, soft: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Take the next frame [H,W,3] as an earlier run did, without propagating.

        Frames and masks that are recalled, and those that are skipped, must be the same as in that
        run. Then the frames after them have the same result as in one run through all frames, to
        the last bit.

        Args:
            frame: One of the last `context` frames before those to come, or one with a mask.
            soft: What `soft_labels` gave after this frame.
            mask: Its given mask [H,W] uint8, if there was one.
        """
        size = (frame.shape[0], frame.shape[1])
        self.encoder = fitted(self.encoder, size, self.max_side)
        given = [] if mask is None else self._given_ids(_checked_mask(mask, size))
        self._labels.recall(self.encoder.of_frame(frame), torch.from_numpy(soft), given)

    def skip(self) -> None:
        """Leave out the next frame between those that are recalled: the frames to come do not look
        at it.
        """
        self._labels.skip()

    def soft_labels(self) -> np.ndarray:
        """The soft labels of cells [L,h,w] float32 of the last frame, for `recall`; L counts the
        ids so far.
        """
        if self._last is None:
            raise RunError("soft_labels: no frame has been taken yet")

        return self._last.soft.cpu().numpy()

    def doubtful(self) -> float:
        """Share of the cells so far that may lack a vote, as with bf16 on a GPU. Asking waits for
        the device.
        """
        return self._labels.doubtful()

    @torch.inference_mode()
    def probabilities(self) -> Iterator[tuple[int, np.ndarray]]:
        """Each object id (0: background) and its soft mask [H,W] float32 in the last frame; they
        sum to 1.

        Soft masks are those of the cells, enlarged; a mask that was given is itself.
        """
        if self._last is None:
            return

        soft, last = self._last.soft, self._last
        share = soft / soft.sum(0).clamp(min=torch.finfo(soft.dtype).tiny)
        for id, channel in zip(self._labels.ids, share, strict=True):
            probability = enlarged(channel, last.sizes, last.labels.shape, self.masks).cpu().numpy()
            yield id, np.where(last.decided, last.labels == id, probability)

    def _given(self, mask: np.ndarray, sizes: FrameSizes, features: Tensor) -> dict[int, Tensor]:
        """Labels of cells [h,w] of the objects in `mask`, and of the background if this is the
        first mask.
        """
        cells = (features.shape[-2], features.shape[-1])
        return dict(
            labels_of_cells(
                mask, self._given_ids(mask), sizes, cells, self.masks, device=features.device
            )
        )

    def _given_ids(self, mask: np.ndarray) -> list[int]:
        """The objects in `mask`, and the background if this is the first mask."""
        objects = [int(i) for i in np.unique(mask) if i > 0]
        return objects if self._labels.ids else [0, *objects]


def _checked_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """The mask as ids [H,W] uint8; InputError unless it is one of this size."""
    check_array("mask", mask)
    wanted = f"mask: must hold ids 0 to 255 at the frame's size {size}"
    if mask.shape != size:
        raise InputError(f"{wanted}, is {mask.dtype} {mask.shape}")

    return as_ids(mask, wanted)


def _fetched(labels: Tensor, flag: Tensor) -> tuple[np.ndarray, bool]:
    """Labels [H,W] uint8 and a flag, in one copy from their device."""
    both = torch.cat([labels.flatten(), flag.view(1).to(torch.uint8)]).cpu().numpy()
    return both[:-1].reshape(labels.shape), bool(both[-1])


def fitted(encoder: Encoder, size: Size, max_side: int | None) -> Encoder:
    """The encoder with a scale that brings frames [H,W] = `size` to sides of at most `max_side`
    pixels.
    """
    if max_side is None:
        return encoder

    longest = max(encoder.frames.encoded_size(size, encoder.stride))
    return replace(encoder, scale=min(encoder.scale, max_side / longest))
