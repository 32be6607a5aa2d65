"""Optical flow by RAFT (Teed and Deng, ECCV 2020): torchvision's raft_small.

Unlike DIS it is trained, on labelled flow.
"""

# Shapes: B batch, H x W pixels of a frame, h x w pixels after padding.

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.optical_flow import raft_small

from densevos.data.foreground.flow import check_one_size
from densevos.models.pretrained import load_published

NAME = "raft_small"
STRIDE = 8
"""Side in pixels of a cell of its features; the sides of frames must be multiples of it."""
SMALLEST = 128
"""Shortest side in pixels that it accepts: the coarsest correlations have one cell per 64 pixels of
a side, and need two cells.
"""


@dataclass(frozen=True, kw_only=True)
class Raft:
    """A `Flow` that is computed by RAFT."""

    network: nn.Module
    """Two batches of images [B,3,h,w] in -1..1 -> a list of flows [B,2,h,w], the last is best."""
    device: torch.device
    """Device that holds the network."""

    @torch.inference_mode()
    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Optical flow between two frames.

        Args:
            a: RGB frame [H,W,3] uint8.
            b: RGB frame [H,W,3] uint8.

        Returns:
            Flow [H,W,2] float32 from a to b, pixels.

        Raises:
            InputError: The frames differ in size.
        """
        check_one_size(a, b)
        height, width = a.shape[:2]

        # RAFT refines its flow step by step, and the last one of the list is the best.
        # Padding lies at the right and at the bottom, so cropping removes it.
        flow = self.network(self._padded(a), self._padded(b))[-1][0, :, :height, :width]
        return np.ascontiguousarray(flow.permute(1, 2, 0).cpu().numpy())

    def _padded(self, frame: np.ndarray) -> Tensor:
        """A frame as [1,3,h,w] in -1..1, with its edges repeated until the network accepts it."""
        # [H,W,3] uint8 -> [1,3,H,W] in -1..1, the range that the published weights expect.
        pixels = (
            torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float().to(self.device) / 127.5
            - 1
        )
        height, width = frame.shape[:2]
        padding = (0, _padding(width), 0, _padding(height))  # left, right, top, bottom

        return F.pad(pixels, padding, mode="replicate")


def _padding(side: int) -> int:
    """Pixels that a side lacks to the next multiple of STRIDE that is not below SMALLEST."""
    return max(-(-side // STRIDE) * STRIDE, SMALLEST) - side


def load_raft(weights: str, device: torch.device, flag: str = "--flow-weights") -> Raft:
    """Load RAFT with pretrained weights.

    Args:
        weights: A name that torchvision knows, such as C_T_V2, which is downloaded once; or a file.
        device: Device for the network.
        flag: Option that messages name.

    Raises:
        InputError: The weights cannot be downloaded or read, or belong to another network.
    """
    network = raft_small(weights=None)
    load_published(network, NAME, weights, flag)
    return Raft(network=network.eval().to(device), device=device)
