"""What a device can do, and which one is taken where none is named."""

from collections.abc import Callable

import torch
from torch.nn import functional as F

ACCELERATORS: tuple[tuple[str, Callable[[], bool]], ...] = (
    ("cuda", torch.cuda.is_available),
    ("mps", torch.backends.mps.is_available),
)
"""Devices that are faster than a CPU, the best first, and whether this machine has them."""


def evaluates(device: str) -> bool:
    """Whether the device has the operations of encoders and of propagation.

    A Mac's GPU (mps) lacks some operations in some versions of torch. Where one is missing, torch
    says so, unless the user has set PYTORCH_ENABLE_MPS_FALLBACK; that is the user's choice, so it
    is not set here.
    """
    try:
        frames = torch.ones(1, 3, 8, 8, device=device).contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            features = F.conv2d(
                frames, torch.ones(4, 3, 3, 3, device=device), padding=2, dilation=2
            )
            features = F.max_pool2d(F.normalize(features, dim=1), 2)
            flat = features.flatten(2)[0]  # [4,16]
            weights, places = (flat.T @ flat).topk(10, dim=1)
            votes = flat[0].index_select(0, places.flatten()).view(places.shape) * weights.softmax(
                dim=1
            )
            sums = (
                torch.zeros_like(flat.T @ flat)
                .scatter_(1, places, votes)
                .masked_fill(places.amin() < 0, 0)
            )
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
    """The first accelerator that is there and works; the CPU where none does.

    A GPU of NVIDIA or AMD (cuda) is taken as it is: torch has all operations for it.
    """
    for name, is_there in accelerators:
        if is_there() and (name == "cuda" or works(name)):
            return name

    return "cpu"


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16, which make them faster than
    those of float32.
    """
    if device.type == "cuda":
        # torch.cuda.is_bf16_supported also says yes to older ones, which emulate it and are slower
        # for it.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)

    # Older versions of torch have private probes only.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        found = capabilities()
        return any(found.get(name) for name in ("avx512_bf16", "amx_bf16"))

    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
