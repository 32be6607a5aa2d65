"""Frames as callers hand them over, arrays and tensors, checked and brought to one form."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from densevos.base.errors import InputError
from densevos_eval.base.sizes import Size


def check_frame(frame: np.ndarray) -> None:
    """InputError for anything but a frame [H,W,3] uint8."""
    check_array("frame", frame)
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
        raise InputError(
            f"frame: must be [H,W,3] uint8, is {list(frame.shape)} {frame.dtype}; give RGB of 0 to 255"
        )


def check_array(name: str, array: object) -> None:
    """InputError for a tensor, a list, a picture, or whatever else is no array."""
    if not isinstance(array, np.ndarray):
        raise InputError(
            f"{name}: must be a NumPy array, is a {type(array).__name__}; "
            f"give numpy.asarray({name}), or {name}.cpu().numpy() of a tensor"
        )


def float_frames(frames: Tensor, device: torch.device) -> Tensor:
    """Frames [B,3,H,W], uint8 of 0 to 255 or floats of 0 to 1, as float32 RGB in 0 to 1 on the
    device.

    Raises InputError for anything else.
    """
    is_tensor = isinstance(frames, Tensor)
    is_known = is_tensor and (frames.is_floating_point() or frames.dtype == torch.uint8)
    if not is_known or frames.ndim != 4 or frames.shape[1] != 3 or not frames.numel():
        what = f"{list(frames.shape)} {frames.dtype}" if is_tensor else f"a {type(frames).__name__}"
        raise InputError(
            "frames: must be a tensor [B,3,H,W] of RGB, floats in 0 to 1 or uint8 in 0 to 255, "
            f"is {what}; features takes arrays [T,H,W,3] uint8"
        )

    # float32 before they leave the CPU: a Mac's GPU has no float64.
    moved = frames.to(device) if frames.dtype == torch.uint8 else frames.float().to(device)
    return moved.float() / 255 if frames.dtype == torch.uint8 else moved


def padded_frames(frames: Tensor, size: Size) -> Tensor:
    """Frames [B,3,H,W] with edge pixels repeated at the bottom and right until they are of [H,W] =
    `size`.
    """
    below, right = (to - side for to, side in zip(size, frames.shape[2:], strict=True))
    return F.pad(frames, (0, right, 0, below), mode="replicate") if below or right else frames
