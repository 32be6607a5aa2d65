"""The size of a segmentation network, and how much it computes."""

import copy

import torch
from torch.utils.flop_counter import FlopCounterMode

from densevos.models.segmentation.base import SegmentationNetwork


def parameters(network: torch.nn.Module) -> int:
    """The number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def gmacs(network: SegmentationNetwork, size: int) -> float:
    """Billions of multiply-accumulates for one frame, or for one clip of a 3D network.

    The papers call this number "GFLOPS" (docs/decisions.md, D46). There are twice as many floating
    point operations.

    Args:
        network: The network; it does not change.
        size: Side of the frames, pixels.
    """
    # Tensors on the device meta have no values, so that nothing is computed.
    described = copy.deepcopy(network).to("meta").eval()
    frames = torch.empty(1, network.clip_frames, 3, size, size, device="meta")
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        described(frames)

    operations: int = counter.get_total_flops()
    return operations / 2e9
