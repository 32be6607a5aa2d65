"""Settings of torch that decide how fast and how exactly a GPU computes; chosen once per run."""

import torch


def tune(device: torch.device, precision: torch.dtype) -> str:
    """Set up this process's torch for training on a device; only GPUs have such settings.

    Mixed precision: products that stay in float32 use TF32, which rounds factors to 11 bits. The
    factors of affinities come from a network that has rounded them to 8 bits (bf16) or 11 bits
    (fp16) already. With eight processes these products take a quarter of a step (DUL's anchors of
    all clips).

    Float32: all products use full float32, as on a CPU. By default torch would compute convolutions
    in TF32.

    Args:
        device: Where the run computes.
        precision: The number format of its networks, see `choose_precision`.

    Returns:
        One line that describes the settings.
    """
    if device.type != "cuda":
        return f"{_name(precision)} on the {device.type.upper()}"

    mixed = precision != torch.float32
    torch.set_float32_matmul_precision("high" if mixed else "highest")
    torch.backends.cudnn.allow_tf32 = mixed

    # All frames of a run have one size, so cuDNN may try its algorithms once and keep the fastest.
    # Which one wins can change from run to run, and with it the last bits.
    torch.backends.cudnn.benchmark = True

    products = "the rest in float32, its products in TF32" if mixed else "without TF32"
    return f"{_name(precision)}, {products}; cuDNN keeps the fastest convolutions"


def _name(precision: torch.dtype) -> str:
    """Name of a number format without "torch."."""
    return str(precision).removeprefix("torch.")
