"""Encoders of one's own: one of single frames, one with a memory, and one of clips."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Patches(nn.Module):
    """Features of patches of 8 pixels: one convolution."""

    stride = 8
    mean, std = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project = nn.Conv2d(3, 32, kernel_size=8, stride=8)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B,3,H,W] -> features [B,32,H/8,W/8]."""
        return self.project(frames)


def patches() -> Patches:
    return Patches()


class Averaged:
    """The memory of one video: a running mean of the features of its frames."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.mean: Tensor | None = None

    def __call__(self, frames: Tensor) -> Tensor:
        """The next frame [1,3,H,W] -> features [1,32,H/8,W/8]."""
        features = self.network(frames)
        self.mean = features if self.mean is None else (self.mean + features) / 2
        return self.mean


class RunningMean(Patches):
    """Features that change slowly."""

    def stream(self) -> Averaged:
        """A memory for one video."""
        return Averaged(self.project)


def running_mean() -> RunningMean:
    return RunningMean()


class Tubelets(nn.Module):
    """Features of tubelets: 8x8 pixels of two frames, in clips of four frames."""

    stride = 8
    clip_frames = 4
    tubelet_frames = 2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.project = nn.Conv3d(3, 32, kernel_size=(2, 8, 8), stride=(2, 8, 8))

    def forward(self, clips: Tensor) -> Tensor:
        """Clips [B,4,3,H,W] -> features [B,2,32,H/8,W/8] of the first two and the last two
        frames.
        """
        pixels = clips.transpose(1, 2)  # [B,3,4,H,W]
        return F.relu(self.project(pixels)).transpose(1, 2)


def tubelets() -> Tubelets:
    return Tubelets()
