"""The features of one video, frame by frame, from an encoder that may have a memory."""

# Shapes: H x W pixels of a frame, C channels of a feature, h x w cells of the feature map.

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos_eval.adapters.choices import Between


class Stream:
    """Features of the frames of one video, which must come in their order.

    A stream may remember frames, so another video needs another stream.

    Args:
        compute: The next frame [H,W,3] uint8 RGB -> its features [C,h,w].
        see: Takes the next frame if its features are not needed.
        every: Features are computed for frames 0, every, 2 * every, ...
        between: What the frames between them get, see `Between`.
        unit: Features of every cell have length 1, also interpolated ones.
    """

    def __init__(
        self,
        compute: Callable[[np.ndarray], Tensor],
        see: Callable[[np.ndarray], object],
        *,
        every: int = 1,
        between: Between = "repeat",
        unit: bool = True,
    ):
        self.compute = compute
        self.see = see
        self.every = every
        self.between = between
        self.unit = unit
        self._index = 0
        self._last: Tensor | None = None

    def step(self, frame: np.ndarray) -> Tensor:
        """Take the next frame and return its features.

        Args:
            frame: A frame [H,W,3] uint8 RGB.

        Returns:
            Features [C,h,w].

        Raises:
            InputError: The encoder cannot take the frame; or features are interpolated, which needs
                later frames, see `over`.
        """
        if self.every > 1 and self.between == "interpolate":
            raise InputError(
                "--between interpolate: needs frames ahead; "
                "give the whole video, or take --between repeat"
            )

        return self._next(frame)

    def over(self, frames: Iterable[np.ndarray]) -> Iterator[Tensor]:
        """The features of each frame of a whole video.

        Args:
            frames: All frames [H,W,3] uint8 RGB. If features are interpolated, up to `every` of
                them are read ahead.

        Yields:
            Features [C,h,w].

        Raises:
            InputError: The encoder cannot take a frame.
        """
        if self.every == 1 or self.between == "repeat":
            yield from map(self._next, frames)
            return

        # Frames between two encoded ones have no features until the second one is known. The
        # network still gets each of them, in case that it has a memory.
        before: Tensor | None = None
        waiting = 0  # frames since the last one that was computed
        for frame in frames:
            is_computed = self._index % self.every == 0
            features = self._next(frame)
            if not is_computed:
                waiting += 1
                continue

            if before is not None:
                yield from self._mixed(before, features, waiting)

            yield features
            before, waiting = features, 0

        # No encoded frame follows the last ones, so they repeat the one before.
        if before is not None:
            yield from (before for _ in range(waiting))

    def _next(self, frame: np.ndarray) -> Tensor:
        """The features of the next frame; if it is not encoded, those of an earlier one."""
        if self._index % self.every == 0:
            self._last = self.compute(frame)
        else:
            self.see(frame)

        self._index += 1
        assert self._last is not None, "the first frame is computed"
        return self._last

    def _mixed(self, before: Tensor, after: Tensor, count: int) -> Iterator[Tensor]:
        """Features of `count` frames between two encoded ones, weighted by the distances."""
        for number in range(1, count + 1):
            # The weights grow in equal steps and stay apart from 0 and 1, the encoded frames.
            features = torch.lerp(before, after, number / (count + 1))

            # A mean of two unit vectors is shorter than 1.
            yield F.normalize(features, dim=0) if self.unit else features
