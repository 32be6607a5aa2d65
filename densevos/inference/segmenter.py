"""Zero-shot segmentation of a video with a MuG network: primary objects against background."""

# Shapes: B frames of H x W pixels, S x S pixels as the network sees them, R reference frames,
# C channels, h x w cells of the feature map.

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
    """One way to show frames to the network: scaled to size x size pixels, perhaps mirrored."""

    size: int
    mirrored: bool


@dataclass(frozen=True)
class Memory:
    """Pooled features of R reference frames, with which a view's frames are compared."""

    keys: Tensor
    """[R,32,h,w], unit length."""
    values: Tensor
    """[R,128,h,w]."""


class Segmenter:
    """Segments the foreground of every frame, with K frames of the video as references.

    This is the object-level segmentation of MuG, Sec. 3.3. Frames are scaled to size x size pixels,
    as in training. Each of the `scales` and, with `flip`, each mirror image is segmented with its
    own references, and the probabilities are averaged.

    Args:
        network: A trained network; it is moved to the device and set to eval mode.
        size: Side of the frames that it was trained with, pixels.
        segments: K, the number of reference frames.
        device: Device of the computation.
        batch: Number of frames that are encoded together.
        flip: Also segment mirror images.
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
        # Eval mode: BatchNorm must not depend on which frames share a batch.
        self.network = network.eval().to(device)
        self.size, self.segments, self.device, self.batch = size, segments, device, batch
        self.flip, self.scales = flip, tuple(scales)

    @property
    def views(self) -> list[View]:
        """The views whose probabilities are averaged."""
        stride = self.network.encoder.config.stride
        views = []
        # The encoder needs whole cells.
        for scale in self.scales:
            cells = max(1, round(self.size * scale / stride))
            views.append(View(cells * stride, mirrored=False))
            if self.flip:
                views.append(View(cells * stride, mirrored=True))

        return views

    def __call__(
        self, reader: FrameReader, indices: Sequence[int] | None = None
    ) -> Iterator[np.ndarray]:
        """Segment frames of a video.

        Args:
            reader: The video; references are frames of the complete video.
            indices: Frames to segment; None for all.

        Yields:
            The probability of foreground [H,W] float32 of each frame, in order, at its own size.
        """
        # References are encoded once for the complete video.
        chosen = range(len(reader)) if indices is None else indices
        references = reader.read(middle_frames(len(reader), self.segments))
        memories = {view: self._memory(references, view) for view in self.views}

        # A batch is decoded once and then shown in all views, whose probabilities weigh the same.
        for first in range(0, len(chosen), self.batch):
            frames = reader.read(chosen[first : first + self.batch])
            probabilities = []
            for view, memory in memories.items():
                probabilities.append(self._probability(frames, view, memory))

            yield from torch.stack(probabilities).mean(0).cpu().numpy()

    @torch.inference_mode()
    def _memory(self, references: np.ndarray, view: View) -> Memory:
        """The memory of reference frames [R,H,W,3] uint8, as one view shows them."""
        x, _ = self.network.encode(self._prepared(references, view))
        key, value = self.network.recall(x)
        # Features are pooled to a quarter of the cells, as for the references in training.
        return Memory(pooled(key), pooled(value))

    @torch.inference_mode()
    def _probability(self, frames: np.ndarray, view: View, memory: Memory) -> Tensor:
        """Probability [B,H,W] of frames [B,H,W,3] uint8, as one view shows them."""
        x, stages = self.network.encode(self._prepared(frames, view))
        key, value = self.network.recall(x)

        # Every frame is compared with the same references.
        keys = memory.keys.expand(len(x), *memory.keys.shape)
        values = memory.values.expand(len(x), *memory.values.shape)
        r = self.network.gather(key, value, keys, values)
        logits = self.network.nu(r, stages).float()

        # Mirror the result back, and enlarge it to the size of the frames.
        upright = logits.flip(-1) if view.mirrored else logits
        large = F.interpolate(
            upright[:, None], size=frames.shape[1:3], mode="bilinear", align_corners=False
        )

        return torch.sigmoid(large[:, 0])

    def _prepared(self, frames: np.ndarray, view: View) -> Tensor:
        """Frames [B,H,W,3] uint8 as the network takes them, [B,3,S,S] float."""
        size = (view.size, view.size)
        scaled = []
        for frame in frames:
            # Pillow's bilinear filter averages over all pixels when it shrinks, so nothing aliases.
            image = Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR)
            scaled.append(np.asarray(image))

        # [B,S,S,3] uint8; bytes go to the device, where they become four times as large.
        small = torch.from_numpy(np.stack(scaled))
        pixels = small.to(self.device, non_blocking=self.device.type == "cuda")
        images = normalise(pixels.permute(0, 3, 1, 2).float() / 255)

        return images.flip(-1) if view.mirrored else images


def middle_frames(length: int, segments: int) -> list[int]:
    """The middle frames of `segments` equal parts, or every frame once if there are fewer.

    >>> middle_frames(100, 4)
    [12, 37, 62, 87]
    """
    count = min(length, segments)
    return [int((2 * k + 1) * length / (2 * count)) for k in range(count)]
