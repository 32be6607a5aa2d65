"""Optical flow of RAFT (Teed and Deng, ECCV 2020): torchvision's raft_small, which was trained on
labelled flow.
"""

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
"""Pixels of a cell of its features; sides must be multiples of it."""
SMALLEST = 128
"""Shortest side that it works on: its coarsest map of correlations has a sixteenth of a sixteenth
of the pixels.
"""


@dataclass(frozen=True, kw_only=True)
class Raft:
    """A `Flow`: RGB frames a, b [H,W,3] uint8 -> [H,W,2] float32, from a to b, in pixels."""

    network: nn.Module
    """Images [B,3,h,w] in -1..1, twice -> a list of flows [B,2,h,w], the last one the best."""
    device: torch.device

    @torch.inference_mode()
    def __call__(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The flow; InputError when the frames differ in size."""
        check_one_size(a, b)
        height, width = a.shape[:2]
        flow = self.network(self._padded(a), self._padded(b))[-1][0, :, :height, :width]
        return np.ascontiguousarray(flow.permute(1, 2, 0).cpu().numpy())

    def _padded(self, frame: np.ndarray) -> Tensor:
        """A frame [H,W,3] as [1,3,h,w] in -1..1: edges are repeated at right and bottom until the
        network takes it.
        """
        pixels = (
            torch.from_numpy(np.array(frame)).permute(2, 0, 1)[None].float().to(self.device) / 127.5
            - 1
        )
        height, width = frame.shape[:2]
        right, below = (_padding(side) for side in (width, height))

        return F.pad(pixels, (0, right, 0, below), mode="replicate")


def _padding(side: int) -> int:
    return max(-(-side // STRIDE) * STRIDE, SMALLEST) - side


def load_raft(weights: str, device: torch.device, flag: str = "--flow-weights") -> Raft:
    """RAFT with weights of torchvision by name (C_T_V2), which are downloaded once, or of a file.

    Raises InputError, naming the flag, when the weights cannot be fetched or read, or are of
    another network.
    """
    network = raft_small(weights=None)
    load_published(network, NAME, weights, flag)
    return Raft(network=network.eval().to(device), device=device)
