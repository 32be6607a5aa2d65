"""A source of videos that lives outside of densevos: textures that drift, computed when they are
read.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np


class DriftingTexture:
    """One video, a FrameReader: random texture that moves one pixel a frame."""

    def __init__(self, name: str, frames: int, height: int = 48, width: int = 64):
        self.path = f"drifting:{name}"
        self.names = [f"{t:05d}" for t in range(frames)]
        self.width = width
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        coarse = rng.integers(0, 256, (height // 4, (width + frames) // 4 + 1, 3), dtype=np.uint8)
        self.texture = coarse.repeat(4, axis=0).repeat(4, axis=1)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Frames [len(indices),H,W,3] uint8 RGB."""
        return np.stack([self.texture[:, t : t + self.width] for t in indices])

    def seconds(self) -> None:
        """Frames have no times."""


@dataclass(frozen=True)
class DriftingTextures:
    """A VideoSource."""

    names: tuple[str, ...]
    frames: int = 8
    inputs: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def title(self, index: int) -> str:
        """How messages name a video."""
        return f"drifting:{self.names[index]}"

    def open(self, index: int) -> DriftingTexture:
        """One video."""
        return DriftingTexture(self.names[index], self.frames)

    def identity(self) -> str:
        """Other names or lengths are other videos."""
        return f"drifting {self.frames} {' '.join(self.names)}"


def videos() -> DriftingTextures:
    """What `--data drifting:videos` trains on."""
    return DriftingTextures(("one", "two", "three", "four"))


def others() -> DriftingTextures:
    """Other videos."""
    return DriftingTextures(("five", "six", "seven", "eight"))


def nothing() -> list[int]:
    """No source at all."""
    return []
