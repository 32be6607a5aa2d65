"""What a device can do."""

import torch


def multiplies_bf16(device: torch.device) -> bool:
    """Whether the device has instructions for products of bfloat16, which make them faster than those of float32."""
    if device.type == "cuda":
        # torch.cuda.is_bf16_supported also says yes to older ones, which emulate it and are slower for it.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device) >= (8, 0)
    # Older versions of torch have private probes only.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        found = capabilities()
        return any(found.get(name) for name in ("avx512_bf16", "amx_bf16"))
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)
