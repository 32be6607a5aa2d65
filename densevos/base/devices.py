"""Choose a device, and find out what it can do."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

ACCELERATORS: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("cuda", torch.cuda.is_available),
    ("mps", torch.backends.mps.is_available),
)
"""Devices faster than a CPU, the best first, and a function that tells if this machine has one."""


def evaluates(device: str) -> bool:
    """Whether a device has all operations of encoders and of propagation.

    A Mac's GPU (mps) lacks some operations in some versions of torch. torch then raises an error,
    unless the user has set PYTORCH_ENABLE_MPS_FALLBACK. That is the user's choice, so it is not set
    here.

    Args:
        device: Name of the device.

    Returns:
        Whether a small example of each operation works.
    """
    try:
        frames = torch.ones(1, 3, 8, 8, device=device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            # The operations of encoders.
            kernel = torch.ones(4, 3, 3, 3, device=device)
            features = F.conv2d(frames, kernel, padding=2, dilation=2)
            features = F.max_pool2d(F.normalize(features, dim=1), 2)

            # Those of propagation: every cell takes the labels of its most similar cells.
            flat = features.flatten(2)[0]  # [4,16]: channels, cells
            weights, cells = (flat.T @ flat).topk(10, dim=1)
            labels = flat[0].index_select(0, cells.flatten()).view(cells.shape)
            votes = labels * weights.softmax(dim=1)
            sums = torch.zeros_like(flat.T @ flat).scatter_(1, cells, votes)
            sums = sums.masked_fill(cells.amin() < 0, 0)
            soft = F.interpolate(
                sums.view(1, -1, 4, 4), size=(7, 9), mode="bilinear", align_corners=True
            )

            return bool(soft.argmax(dim=1).cpu().isfinite().all())
    except (RuntimeError, TypeError):  # NotImplementedError is a RuntimeError.
        return False


def preferred_device(
    works: Callable[[str], bool] = evaluates,
    accelerators: tuple[tuple[str, Callable[[], bool]], ...] = ACCELERATORS,
) -> str:
    """Choose the first accelerator that this machine has and that has all operations.

    Args:
        works: Tells if a device has all operations; not asked for cuda, which always has them.
        accelerators: Names of devices, and functions that tell if this machine has them.

    Returns:
        The name of the device, "cpu" if there is no such accelerator.
    """
    for name, is_available in accelerators:
        if is_available() and (name == "cuda" or works(name)):
            return name

    return "cpu"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 natively, and so faster than float32.

    Args:
        device: The device.

    Returns:
        Whether it has such instructions.
    """
    if device.type == "cuda":
        # torch.cuda.is_bf16_supported is also true for older GPUs, which emulate bfloat16 and are
        # slower with it. Compute capability 8.0 is Ampere.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)

    get_capabilities = getattr(torch.cpu, "get_capabilities", None)
    if get_capabilities is not None:
        capabilities = get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))

    # Older versions of torch have private functions only.
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
