"""Zero-shot segmentation of a whole video with a MuG network: primary objects against background."""

from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from densevos.data.sources.source import FrameReader
from densevos.models.encoder import normalise
from densevos.models.mug import MugNetwork, pooled


class Segmenter:
    """Foreground of every frame, read from r with K frames of the video as references (MuG, Sec. 3.3, object-level).

    Frames are scaled to size x size pixels, as in training. `batch` frames are encoded at a time.
    """

    def __init__(self, network: MugNetwork, size: int, segments: int, device: torch.device, batch: int = 8):
        self.network = network.eval().to(device)
        self.size, self.segments, self.device, self.batch = size, segments, device, batch

    def __call__(self, reader: FrameReader) -> Iterator[np.ndarray]:
        """Probability of foreground [H,W] float32 of each frame, in order, at its own size."""
        keys, values = self._references(reader)
        for first in range(0, len(reader), self.batch):
            frames = reader.read(range(first, min(first + self.batch, len(reader))))
            maps = self._logits(frames, keys, values)
            large = F.interpolate(maps[:, None], size=frames.shape[1:3], mode="bilinear", align_corners=False)
            yield from torch.sigmoid(large[:, 0]).cpu().numpy()

    @torch.inference_mode()
    def _references(self, reader: FrameReader) -> tuple[Tensor, Tensor]:
        """Pooled keys and values [R,*,h,w] of the middle frame of each of K segments."""
        x, _ = self.network.encode(self._prepared(reader.read(middle_frames(len(reader), self.segments))))
        key, value = self.network.recall(x)
        return pooled(key), pooled(value)

    @torch.inference_mode()
    def _logits(self, frames: np.ndarray, keys: Tensor, values: Tensor) -> Tensor:
        x, stages = self.network.encode(self._prepared(frames))
        key, value = self.network.recall(x)
        r = self.network.gather(key, value, *(one.expand(len(x), *one.shape) for one in (keys, values)))
        return self.network.nu(r, stages).float()

    def _prepared(self, frames: np.ndarray) -> Tensor:
        size = (self.size, self.size)
        small = np.stack([np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BILINEAR)) for f in frames])
        return normalise(torch.from_numpy(small).to(self.device).permute(0, 3, 1, 2).float() / 255)


def middle_frames(length: int, segments: int) -> list[int]:
    """The middle frame of each of `segments` equal parts; every frame once where there are fewer."""
    count = min(length, segments)
    return [int((2 * k + 1) * length / (2 * count)) for k in range(count)]
