"""Zero-shot segmentation of a whole video with a MuG network: primary objects against
background.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from densevos.data.sources.source import FrameReader
from densevos.models.encoder import normalise
from densevos.models.mug import MugNetwork, pooled


@dataclass(frozen=True)
class View:
    """One way to show frames to the network: scaled to size x size pixels, and mirrored or not."""

    size: int
    mirrored: bool


@dataclass(frozen=True)
class Memory:
    """What a view's frames are compared with: pooled keys and values [R,*,h,w] of R reference
    frames.
    """

    keys: Tensor
    values: Tensor


class Segmenter:
    """Foreground of every frame, read from r with K frames of the video as references (MuG, Sec.
    3.3, object-level).

    Frames are scaled to size x size pixels, as in training. Each of the `scales` and, with `flip`,
    each mirror image is segmented with references of its own, and the probabilities are averaged.

    Args:
        network: A trained network; it is moved to the device and set to eval mode.
        size: Side of the frames that it was trained with, pixels.
        segments: K, the number of reference frames.
        device: Where it computes.
        batch: Frames that are encoded at a time.
        flip: Segment mirror images too.
        scales: Sizes to segment at, as multiples of `size`; each is rounded to whole cells.
    """

    def __init__(
        self,
        network: MugNetwork,
        size: int,
        segments: int,
        device: torch.device,
        batch: int = 8,
        *,
        flip: bool = False,
        scales: Sequence[float] = (1.0,),
    ):
        self.network = network.eval().to(device)
        self.size, self.segments, self.device, self.batch = size, segments, device, batch
        self.flip, self.scales = flip, tuple(scales)

    @property
    def views(self) -> list[View]:
        """The views whose probabilities are averaged."""
        stride = self.network.encoder.config.stride
        sides = [max(1, round(self.size * scale / stride)) * stride for scale in self.scales]
        mirrors = (False, True) if self.flip else (False,)
        return [View(side, mirrored) for side in sides for mirrored in mirrors]

    def __call__(
        self, reader: FrameReader, indices: Sequence[int] | None = None
    ) -> Iterator[np.ndarray]:
        """Probability of foreground [H,W] float32 of each frame, in order, at its own size.

        Args:
            reader: The video; references are taken from all of it.
            indices: Frames to segment; all when None.
        """
        chosen = range(len(reader)) if indices is None else indices
        references = reader.read(middle_frames(len(reader), self.segments))
        memories = {view: self._memory(references, view) for view in self.views}

        for first in range(0, len(chosen), self.batch):
            frames = reader.read(chosen[first : first + self.batch])
            found = [self._probability(frames, view, memory) for view, memory in memories.items()]
            yield from torch.stack(found).mean(0).cpu().numpy()

    @torch.inference_mode()
    def _memory(self, references: np.ndarray, view: View) -> Memory:
        x, _ = self.network.encode(self._prepared(references, view))
        key, value = self.network.recall(x)
        return Memory(pooled(key), pooled(value))

    @torch.inference_mode()
    def _probability(self, frames: np.ndarray, view: View, memory: Memory) -> Tensor:
        """Probability [B,H,W] of frames [B,H,W,3] uint8, as one view shows it."""
        x, stages = self.network.encode(self._prepared(frames, view))
        key, value = self.network.recall(x)
        keys, values = (part.expand(len(x), *part.shape) for part in (memory.keys, memory.values))
        logits = self.network.nu(self.network.gather(key, value, keys, values), stages).float()

        upright = logits.flip(-1) if view.mirrored else logits
        large = F.interpolate(
            upright[:, None], size=frames.shape[1:3], mode="bilinear", align_corners=False
        )

        return torch.sigmoid(large[:, 0])

    def _prepared(self, frames: np.ndarray, view: View) -> Tensor:
        """Frames [B,H,W,3] uint8 as the network takes them, [B,3,S,S]."""
        size = (view.size, view.size)
        small = np.stack(
            [np.asarray(Image.fromarray(f).resize(size, Image.Resampling.BILINEAR)) for f in frames]
        )
        pixels = torch.from_numpy(small).to(self.device, non_blocking=self.device.type == "cuda")
        images = normalise(pixels.permute(0, 3, 1, 2).float() / 255)

        return images.flip(-1) if view.mirrored else images


def middle_frames(length: int, segments: int) -> list[int]:
    """The middle frame of each of `segments` equal parts; every frame once where there are
    fewer.
    """
    count = min(length, segments)
    return [int((2 * k + 1) * length / (2 * count)) for k in range(count)]
