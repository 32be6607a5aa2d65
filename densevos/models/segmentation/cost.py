"""How large a segmentation network is, and how much it computes."""

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from densevos.models.segmentation.base import SegmentationNetwork


def parameters(network: torch.nn.Module) -> int:
    """Number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def gmacs(network: SegmentationNetwork, size: int) -> float:
    """Billions of multiply-accumulates for one frame (one clip, of a 3D network) of size x size
    pixels.

    The papers' "GFLOPS" are these (decision D46); floating point operations are twice as many.
    Nothing is computed: the network is followed on tensors without values.
    """
    described = copy.deepcopy(network).to("meta").eval()
    frames = torch.empty(1, network.clip_frames, 3, size, size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        described(frames)

    return counter.get_total_flops() / 2e9
