"""Networks that see more than one frame, as functions of one frame that remember those before
it.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from densevos.base.errors import InputError


class Memory(Protocol):
    """What one video needs: called with its frames [1,3,H,W], normalised, in their order ->
    features [1,C,h,w].
    """

    def __call__(self, frames: Tensor, /) -> Tensor: ...


def see(memory: Memory, frames: Tensor) -> None:
    """Show a frame whose features are not needed; a memory that has no shorter way computes
    them.
    """
    take = getattr(memory, "see", memory)
    take(frames)


class ClipWindow:
    """A memory for a network of clips: the last frames of a video, of which the newest one gets the
    features.

    Where a video has fewer frames so far than a clip, its first frame stands for those before it.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], frames: int):
        """Args:
        network: Clips [B,T,3,H,W] -> features [B,S,C,h,w] of S parts of the clip, the newest last,
        or [B,C,h,w]. frames: T.
        """
        self.network = network
        self.window: deque[Tensor] = deque(maxlen=frames)

    def see(self, frames: Tensor) -> None:
        """Take the next frame [B,3,H,W]. Raises InputError for a frame of another size than those
        before.
        """
        if self.window and self.window[-1].shape != frames.shape:
            before, after = (
                f"{image.shape[-2]}x{image.shape[-1]}" for image in (self.window[-1], frames)
            )
            raise InputError(
                f"frame: is {after} after frames of {before} pixels; a clip must have frames of one size"
            )

        missing = 0 if self.window else (self.window.maxlen or 1) - 1
        self.window.extend([frames] * (missing + 1))

    def __call__(self, frames: Tensor, /) -> Tensor:
        """Take the next frame [B,3,H,W]; return its features [B,C,h,w]."""
        self.see(frames)
        features = self.network(torch.stack(list(self.window), dim=1))
        return features[:, -1] if isinstance(features, Tensor) and features.ndim == 5 else features


def of_first_frames(new_memory: Callable[[], Memory]) -> Callable[[Tensor], Tensor]:
    """The function of frames [B,3,H,W] that takes each of them for the first one of a video."""

    def features(frames: Tensor) -> Tensor:
        return torch.cat([new_memory()(frame[None]) for frame in frames])

    return features
