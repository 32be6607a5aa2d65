"""Settings of torch that decide how fast a GPU computes, and how exactly: chosen once a run, and
said.
"""

import torch


def tune(device: torch.device, precision: torch.dtype) -> str:
    """Set this process's torch up for training on `device`; returns one line that says how. A CPU
    needs nothing.

    In mixed precision, products that stay in float32 take TF32's short cut: it rounds factors to 11
    bits, and those of the affinities come from a network that rounded them to 8 (bf16) or 11
    (fp16). They are a quarter of a step of eight processes (DUL's anchors of all clips). Float32
    asked for is float32 everywhere, convolutions included, as on a CPU; torch alone would compute
    those in TF32.

    Frames of a run have one size, so cuDNN may try its algorithms once and keep the fastest. Which
    one wins can change from run to run, and with it the last bits.

    Args:
        device: Where the run computes.
        precision: The number format of its networks, see `choose_precision`.
    """
    if device.type != "cuda":
        return f"{_name(precision)} on the {device.type.upper()}"

    mixed = precision != torch.float32
    torch.set_float32_matmul_precision("high" if mixed else "highest")
    torch.backends.cudnn.allow_tf32 = mixed
    torch.backends.cudnn.benchmark = True
    rest = "the rest in float32, its products in TF32" if mixed else "without TF32"

    return f"{_name(precision)}, {rest}; cuDNN keeps the fastest convolutions"


def _name(precision: torch.dtype) -> str:
    return str(precision).removeprefix("torch.")
