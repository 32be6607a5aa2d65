"""What a discriminator judges: whole frames, maps, tokens or clips of a tap; frames that are
padding stay out.

A tap is [B,T,C,h,w]; `valid` [B,T] bool marks frames of images and videos, False the empty ones
that pad an image to a clip's length. Empty frames have features that no video has: a discriminator
that sees them learns what is padded, not what is video. What is left out here gets no adversarial
gradient. All True is the papers' literal reading.

`valid` is best left on the CPU, where it is made: on a GPU, choosing by it waits for the device.
"""

import torch
from torch import Tensor


def frames_of(tap: Tensor, valid: Tensor) -> Tensor:
    """The n valid frames, sample after sample: [n,C,h,w]."""
    return tap.flatten(0, 1)[_chosen(valid, tap.device)]


def maps_of(tap: Tensor, valid: Tensor) -> Tensor:
    """Each channel of each valid frame as one feature map (the revision's unit): [n*C,h*w], frame
    after frame.
    """
    return frames_of(tap, valid).flatten(0, 1).flatten(1)


def tokens_of(tap: Tensor, valid: Tensor) -> Tensor:
    """Each cell of each valid frame as one token (the first version's unit): [n*h*w,C], frame after
    frame.
    """
    return frames_of(tap, valid).flatten(2).transpose(1, 2).flatten(0, 1)


def clips_of(tap: Tensor, valid: Tensor) -> Tensor:
    """Each sample as a clip [B,C,T,h,w] for a 3D discriminator, empty frames replaced by the last
    valid one before.

    The first frame of every sample is valid.
    """
    time = torch.arange(valid.shape[1], device=valid.device)
    shown = torch.where(valid, time, 0).cummax(1).values.to(tap.device, non_blocking=True)
    return tap[torch.arange(len(tap), device=tap.device)[:, None], shown].transpose(1, 2)


def domains_of(is_source: Tensor, valid: Tensor, units: int = 1) -> Tensor:
    """The domain of each of n*units rows of the functions above, from that of each sample: [B] bool
    -> [n*units] bool.

    units: rows a frame: 1 for `frames_of`, C for `maps_of`, h*w for `tokens_of`. On the device of
    `is_source`.
    """
    each = is_source[:, None].expand(valid.shape).flatten()
    return each[_chosen(valid, is_source.device)].repeat_interleave(units)


def _chosen(valid: Tensor, device: torch.device) -> Tensor:
    return valid.flatten().nonzero()[:, 0].to(device, non_blocking=True)
