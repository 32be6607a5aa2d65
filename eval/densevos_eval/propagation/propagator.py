"""The streaming core: it joins an encoder and label propagation. Frames in, object ids out.

Frames may have any size.
"""

# Shapes: H x W pixels of a frame, C channels of a feature, h x w cells of the feature map, L object
# ids so far (background included).

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
    """What `soft_labels` and `probabilities` need of the last frame."""

    soft: Tensor  # [L,h,w] labels of cells
    sizes: FrameSizes
    labels: np.ndarray  # [H,W] ids of pixels
    decided: np.ndarray  # [H,W] whether the id of a pixel was given


class Propagator:
    """Follows objects through one video: frames in, object ids (1 to 255) out.

    Frames may have any size, the same in one video. Memory grows with the size of frames, not with
    the length of the video.

    Args:
        encoder: What `load_encoder` returned.
        config: Settings of label propagation; the defaults when left out.
        masks: How masks become labels of cells and back; the defaults when left out.
        max_side: Longest side, in pixels, at which frames are encoded. Masks have the frames' own
            size in any case.

    Raises:
        InputError: An argument has another type, or `max_side` is below 1.

    >>> import numpy as np
    >>> from densevos_eval import Propagator, load_encoder
    >>> frames = np.zeros((3, 48, 64, 3), np.uint8)
    >>> mask = np.zeros((48, 64), np.uint8)
    >>> for t in range(3):
    ...     frames[t, 10:30, 20 + t : 40 + t] = 255
    >>> mask[10:30, 20:40] = 1
    >>> propagator = Propagator(load_encoder("random:resnet18", device="cpu"))
    >>> labels = [propagator.step(frames[0], mask)]
    >>> labels += [propagator.step(frame) for frame in frames[1:]]
    >>> labels[2].shape, labels[2].dtype, np.unique(labels[0]).tolist()
    ((48, 64), dtype('uint8'), [0, 1])
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
                f"Propagator: encoder must come from load_encoder, is a {type(encoder).__name__}"
            )

        if not isinstance(config, PropagationConfig | None):
            raise InputError(
                f"Propagator: config must be a PropagationConfig, is a {type(config).__name__}"
            )

        if not isinstance(masks, MaskConfig | None):
            raise InputError(f"Propagator: masks must be a MaskConfig, is a {type(masks).__name__}")

        if max_side is not None and max_side < 1:
            raise InputError(f"Propagator: max_side must be 1 or more pixels, is {max_side}")

        config = config or PropagationConfig()
        # `follow` checks that features are finite. The encoder need not check it too, which would
        # make the host wait for a GPU.
        self.encoder = replace(encoder, unit=config.similarity == "cosine", checks=False)
        self.masks = masks or MaskConfig()
        self.max_side = max_side
        search = partial(new_search, bf16=encoder.precision == "bf16")
        self._labels = LabelPropagation(config=config, new_search=search)
        self._last: _Last | None = None
        self._stream: Stream | None = None

    def features(self, frames: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """The features of each frame of a video, to be passed to `step`.

        Args:
            frames: All frames [H,W,3] uint8 RGB of the video, in order. If the encoder needs frames
                ahead, they are read ahead.

        Yields:
            Features [C,h,w].
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
        """Take the next frame and return the ids of its pixels.

        New objects join the others. A known object is restarted from its new mask. Until the first
        mask everything is background.

        Args:
            frame: The frame [H,W,3] uint8 RGB.
            mask: Ids [H,W] of the objects that are given in this frame, of any type of numbers or
                bool. 0 means background in the first mask, and unknown in later ones. Soft masks
                are an error.
            features: Features [C,h,w] of the frame from `features`. If left out, they are computed.

        Returns:
            Object ids [H,W] uint8.

        Raises:
            InputError: The frame or the mask has another shape, type or size than those before.
        """
        check_frame(frame)
        size = (frame.shape[0], frame.shape[1])
        if self._last and self._last.sizes.frame != size:
            raise InputError(
                f"frame: is {size} after frames of {self._last.sizes.frame}; "
                "start another Propagator"
            )

        if mask is not None:
            mask = _checked_mask(mask, size)

        self.encoder = fitted(self.encoder, size, self.max_side)
        if features is None:
            # One stream for all steps, because a network with a memory must see frames in order.
            self._stream = self._stream or self.encoder.stream()
            features = self._stream.step(frame)

        return self.follow(features, size, mask)

    @torch.inference_mode()
    def follow(self, features: Tensor, size: Size, mask: np.ndarray | None = None) -> np.ndarray:
        """As `step`, with features instead of the frame itself.

        The host waits for a GPU only once a frame, for the labels.

        Args:
            features: Features [C,h,w] of the frame.
            size: [H,W] of the frame.
            mask: As for `step`, checked and uint8.

        Returns:
            Object ids [H,W] uint8.

        Raises:
            InputError: Features are not finite.
        """
        sizes = self.encoder.sizes(size)
        # Asked before the step, which adds ids.
        first = not self._labels.ids
        given = None if mask is None else self._given(mask, sizes, features)
        soft = self._labels.step(features, given)
        labels, is_finite = _fetched(
            labels_of_pixels(soft, self._labels.ids, sizes, self.masks), features.isfinite().all()
        )
        if not is_finite:
            raise self.encoder.not_finite(features.dtype)

        labels = nearest(labels, self.masks.output_size(size))

        # Given pixels keep their ids. In the first mask 0 is given too: it means background.
        decided = np.zeros(labels.shape, bool)
        if mask is not None and self.masks.first_output == "given":
            mask = nearest(mask, labels.shape)
            decided = (mask > 0) | first
            labels = np.where(decided, mask, labels)

        self._last = _Last(soft=soft, sizes=sizes, labels=labels, decided=decided)
        return labels

    @property
    def recalls(self) -> bool:
        """Whether `recall` works: the features of a frame must depend on that frame alone."""
        return self.encoder.new_memory is None and self.encoder.every == 1

    @torch.inference_mode()
    def recall(self, frame: np.ndarray, soft: np.ndarray, mask: np.ndarray | None = None) -> None:
        """Take the next frame without propagating, as an earlier run did.

        If the recalled and the skipped frames and masks are those of that run, all later frames
        have the same result as in one run through the whole video, to the last bit.

        Args:
            frame: The frame [H,W,3] uint8 RGB: one of the last `context` frames before the next
                propagated one, or a frame with a given mask.
            soft: What `soft_labels` returned after this frame, [L,h,w].
            mask: Its given mask [H,W] uint8, if it had one.
        """
        size = (frame.shape[0], frame.shape[1])
        self.encoder = fitted(self.encoder, size, self.max_side)
        given = [] if mask is None else self._given_ids(_checked_mask(mask, size))
        self._labels.recall(self.encoder.of_frame(frame), torch.from_numpy(soft), given)

    def skip(self) -> None:
        """Leave out the next frame: no later frame uses it. For use between calls of `recall`."""
        self._labels.skip()

    def soft_labels(self) -> np.ndarray:
        """The soft labels of the last frame, for `recall`.

        Returns:
            Labels of cells [L,h,w] float32.

        Raises:
            RunError: No frame has been taken yet.
        """
        if self._last is None:
            raise RunError("soft_labels: no frame has been taken yet")

        return self._last.soft.cpu().numpy()

    def doubtful(self) -> float:
        """Share of the cells so far that may lack a vote, which only bf16 on a GPU can cause.

        Asking waits for the device.
        """
        return self._labels.doubtful()

    @torch.inference_mode()
    def probabilities(self) -> Iterator[tuple[int, np.ndarray]]:
        """The soft mask of each object in the last frame; they sum to 1.

        Yields:
            The object id (0: background) and its mask [H,W] float32: the labels of cells, enlarged.
            A given mask stays as it is.
        """
        if self._last is None:
            return

        soft, last = self._last.soft, self._last
        # Cells without any label must not become NaN.
        share = soft / soft.sum(0).clamp(min=torch.finfo(soft.dtype).tiny)
        for id, channel in zip(self._labels.ids, share, strict=True):
            probability = enlarged(channel, last.sizes, last.labels.shape, self.masks).cpu().numpy()
            yield id, np.where(last.decided, last.labels == id, probability)

    def _given(self, mask: np.ndarray, sizes: FrameSizes, features: Tensor) -> dict[int, Tensor]:
        """Labels of cells [h,w] of each id that `_given_ids` finds in a mask [H,W]."""
        ids = self._given_ids(mask)
        cells = (features.shape[-2], features.shape[-1])
        return dict(labels_of_cells(mask, ids, sizes, cells, self.masks, device=features.device))

    def _given_ids(self, mask: np.ndarray) -> list[int]:
        """The objects in `mask`, and the background if this is the first mask."""
        objects = [int(id) for id in np.unique(mask) if id > 0]
        is_first = not self._labels.ids
        return [0, *objects] if is_first else objects


def _checked_mask(mask: np.ndarray, size: Size) -> np.ndarray:
    """The mask as ids [H,W] uint8. Raises InputError for another size."""
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
    """The encoder, with a scale at which no side of a frame is longer than `max_side` pixels.

    Args:
        encoder: Any encoder. Its scale is never made larger.
        size: [H,W] of the frames.
        max_side: Longest side in pixels; None for any.
    """
    if max_side is None:
        return encoder

    longest = max(encoder.frames.encoded_size(size, encoder.stride))
    return replace(encoder, scale=min(encoder.scale, max_side / longest))
