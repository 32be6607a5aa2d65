"""Networks that see more than one frame, as a user's module would make them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RAW = {"mean": (0, 0, 0), "std": (1, 1, 1)}


class Sum:
    """Cells of the sum of all frames so far."""

    stride, mean, std = 8, (0, 0, 0), (1, 1, 1)

    def stream(self):
        total = 0

        def step(frames: Tensor) -> Tensor:
            nonlocal total
            total = total + frames
            return F.avg_pool2d(total, 8)

        return step


class Clips:
    """Cells of the frames of a clip, weighted by how new they are; keeps the clips that it saw."""

    stride, mean, std = 8, (0, 0, 0), (1, 1, 1)
    clip_frames = 3

    def __init__(self) -> None:
        self.clips: list[Tensor] = []

    def __call__(self, clips: Tensor) -> Tensor:
        self.clips.append(clips)
        weights = torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1, 1, 1)
        return F.avg_pool2d((clips * weights).sum(1), 8)


class Tubelets(nn.Module):
    """Features of every pair of frames in a clip of four."""

    stride, clip_frames, tubelet_frames = 8, 4, 2

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.project = nn.Conv3d(3, 8, (2, 8, 8), stride=(2, 8, 8))

    def forward(self, clips: Tensor) -> Tensor:
        return self.project(clips.transpose(1, 2)).transpose(1, 2)


class WrongClips(Clips):
    clip_frames = 2.5  # type: ignore[assignment]


def total() -> Sum:
    return Sum()


def clips() -> Clips:
    return Clips()


def tubelets() -> Tubelets:
    return Tubelets()


def wrong_clips() -> WrongClips:
    return WrongClips()
