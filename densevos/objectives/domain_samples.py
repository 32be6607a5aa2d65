"""What a discriminator sees: whole frames, maps, tokens or clips of a tap, without padding frames.

A tap is a layer's features [B,T,C,h,w]. `valid` [B,T] bool is False for the empty frames that pad
an image to the length of a clip. Empty frames have features that no video has, so a discriminator
that sees them learns to recognise padding instead of videos. Features that are left out here get no
adversarial gradient. A `valid` that is True everywhere is the literal reading of the papers.

Keep `valid` on the CPU, where it is made: selecting by a mask on a GPU waits for the device.
"""

# Shapes: B samples (images and clips), T frames, n valid frames of all samples, C channels,
# h x w cells of the feature map.

import torch
from torch import Tensor


def frames_of(tap: Tensor, valid: Tensor) -> Tensor:
    """The n valid frames of a tap [B,T,C,h,w], sample after sample: [n,C,h,w]."""
    return tap.flatten(0, 1)[_chosen(valid, tap.device)]


def maps_of(tap: Tensor, valid: Tensor) -> Tensor:
    """Each channel of each valid frame as one feature map, frame after frame: [n*C,h*w].

    This is the unit of the revised paper.
    """
    return frames_of(tap, valid).flatten(0, 1).flatten(1)


def tokens_of(tap: Tensor, valid: Tensor) -> Tensor:
    """Each cell of each valid frame as one token, frame after frame: [n*h*w,C].

    This is the unit of the paper's first version.
    """
    return frames_of(tap, valid).flatten(2).transpose(1, 2).flatten(0, 1)


def clips_of(tap: Tensor, valid: Tensor) -> Tensor:
    """Each sample as a clip [B,C,T,h,w] for a 3D discriminator.

    The last valid frame before an empty frame takes its place. The first frame of every sample must
    be valid.
    """
    # A running maximum over the numbers of valid frames: an empty frame shows the last valid one.
    time = torch.arange(valid.shape[1], device=valid.device)
    shown = torch.where(valid, time, 0).cummax(1).values.to(tap.device, non_blocking=True)
    samples = torch.arange(len(tap), device=tap.device)[:, None]
    return tap[samples, shown].transpose(1, 2)


def domains_of(is_source: Tensor, valid: Tensor, units: int = 1) -> Tensor:
    """The domain of each row that the functions above return.

    Args:
        is_source: Domain of each sample, [B] bool.
        valid: [B,T] bool.
        units: Rows per frame: 1 for `frames_of`, C for `maps_of`, h*w for `tokens_of`.

    Returns:
        [n*units] bool, on the device of `is_source`.
    """
    frames = is_source[:, None].expand(valid.shape).flatten()
    return frames[_chosen(valid, is_source.device)].repeat_interleave(units)


def _chosen(valid: Tensor, device: torch.device) -> Tensor:
    """Numbers [n] of the valid frames among all B*T."""
    return valid.flatten().nonzero()[:, 0].to(device, non_blocking=True)
