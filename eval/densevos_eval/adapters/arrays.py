"""Check the frames that a caller gives, arrays or tensors, and bring them to one form."""

# Shapes: B batch, H x W pixels of a frame.

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos_eval.base.sizes import Size


def check_frame(frame: np.ndarray) -> None:
    """Raise InputError for anything but a frame [H,W,3] uint8."""
    check_array("frame", frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InputError(
            f"frame: must be [H,W,3] uint8, is {list(frame.shape)} {frame.dtype}; "
            "give RGB of 0 to 255"
        )


def check_array(name: str, array: object) -> None:
    """Raise InputError for anything but a NumPy array, such as a tensor, a list or an image."""
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{name}: must be a NumPy array, is a {type(array).__name__}; "
            f"give numpy.asarray({name}), or {name}.cpu().numpy() of a tensor"
        )


def float_frames(frames: Tensor, device: torch.device) -> Tensor:
    """Bring frames to float32 in 0 to 1, on a device.

    Args:
        frames: RGB [B,3,H,W], uint8 in 0 to 255 or floats in 0 to 1.
        device: Where the result is.

    Returns:
        Frames [B,3,H,W] float32.

    Raises:
        InputError: Frames are anything else.
    """
    # Other whole numbers than uint8 could have any range.
    is_tensor = isinstance(frames, Tensor)
    has_range = is_tensor and (frames.is_floating_point() or frames.dtype == torch.uint8)
    if not has_range or frames.ndim != 4 or frames.shape[1] != 3 or not frames.numel():
        what = f"{list(frames.shape)} {frames.dtype}" if is_tensor else f"a {type(frames).__name__}"
        raise InputError(
            "frames: must be a tensor [B,3,H,W] of RGB, floats in 0 to 1 or uint8 in 0 to 255, "
            f"is {what}; features takes arrays [T,H,W,3] uint8"
        )

    # Bytes become floats on the device, because they are copied faster.
    if frames.dtype == torch.uint8:
        return frames.to(device).float() / 255

    # Floats become float32 before they leave the CPU, because a Mac's GPU has no float64.
    return frames.float().to(device)


def padded_frames(frames: Tensor, size: Size) -> Tensor:
    """Repeat edge pixels of frames [B,3,H,W] at the bottom and right up to `size`, [H,W]."""
    bottom = size[0] - frames.shape[2]
    right = size[1] - frames.shape[3]
    if not (bottom or right):
        return frames

    # F.pad counts from the last axis: left, right, top, bottom.
    return F.pad(frames, (0, right, 0, bottom), mode="replicate")
