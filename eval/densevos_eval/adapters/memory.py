"""Networks that see more than one frame, as functions of one frame with a memory."""

# Shapes: B batch, T frames of a clip, S parts of a clip, C channels of a feature, h x w cells.

from collections import deque
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from densevos.base.errors import InputError


class Memory(Protocol):
    """A network with the memory of one video.

    It is called with the frames [1,3,H,W] of the video, normalised and in their order, and returns
    features [1,C,h,w].
    """

    def __call__(self, frames: Tensor, /) -> Tensor: ...


def see(memory: Memory, frames: Tensor) -> None:
    """Show a memory a frame [1,3,H,W] whose features are not needed.

    A memory without a method `see` computes them in vain.
    """
    take = getattr(memory, "see", memory)
    take(frames)


class ClipWindow:
    """A memory for a network of clips: the last T frames of a video.

    The newest frame gets the features. While a video has fewer than T frames, its first frame fills
    the clip.

    Args:
        network: Clips [B,T,3,H,W] -> features [B,S,C,h,w] of S parts of the clip, the newest last,
            or [B,C,h,w].
        frames: T.
    """

    def __init__(self, network: Callable[[Tensor], Tensor], frames: int):
        self.network = network
        # A full window drops its oldest frame by itself.
        self.window: deque[Tensor] = deque(maxlen=frames)

    def see(self, frames: Tensor) -> None:
        """Take the next frame [B,3,H,W].

        Raises:
            InputError: The frame has another size than those before.
        """
        if self.window and self.window[-1].shape != frames.shape:
            before = "x".join(map(str, self.window[-1].shape[-2:]))
            after = "x".join(map(str, frames.shape[-2:]))
            raise InputError(
                f"frame: is {after} after frames of {before} pixels; "
                "a clip must have frames of one size"
            )

        if not self.window and self.window.maxlen:
            # The first frame of a video fills the whole clip.
            self.window.extend([frames] * self.window.maxlen)
        else:
            self.window.append(frames)

    def __call__(self, frames: Tensor, /) -> Tensor:
        """Take the next frame [B,3,H,W]; return its features [B,C,h,w]."""
        self.see(frames)
        # [B,T,3,H,W], the oldest frame first.
        features = self.network(torch.stack(list(self.window), dim=1))

        # Of several parts of the clip, the last one holds the newest frame. Anything but a tensor
        # is a mistake of the user's network, which `backbone.encoded` reports.
        if isinstance(features, Tensor) and features.ndim == 5:
            return features[:, -1]

        return features


def of_first_frames(new_memory: Callable[[], Memory]) -> Callable[[Tensor], Tensor]:
    """A function of frames [B,3,H,W] that treats each of them as the first one of a video."""

    def features(frames: Tensor) -> Tensor:
        # A memory is of one video, so each frame of the batch gets a new one.
        return torch.cat([new_memory()(frame[None]) for frame in frames])

    return features
