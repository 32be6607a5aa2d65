"""Devices: which one a process uses, its arithmetic, and how processes share one machine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from torch import Tensor

from densevos.base.devices import preferred_device
from densevos.base.errors import InputError


def chosen(device: torch.device | str) -> torch.device:
    """Find a device.

    Args:
        device: Name of a torch device. auto is an NVIDIA or AMD GPU, else a Mac's GPU, else the
            CPU.

    Raises:
        InputError: This machine does not have the device.
    """
    # The name stands for the best device that this machine has.
    if device == "auto":
        device = preferred_device()

    # Only an allocation shows whether a device works. It also turns cuda into cuda:0.
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"--device {device}: cannot be used ({reason}); take cpu, cuda, mps or auto"
        ) from error


def spread_over(device: str, workers: int | None) -> list[str]:
    """The device of each of several processes.

    Args:
        device: Name of a torch device. With auto or cuda, processes take the CUDA GPUs in turn, if
            there are any. Otherwise all of them use this device.
        workers: Number of processes. When None, it is one for each GPU, or one without GPUs.
    """
    # A name with a number, such as cuda:1, asks for this GPU alone.
    gpus = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    workers = workers or max(gpus, 1)
    if not gpus:
        return [device] * workers

    return [f"cuda:{worker % gpus}" for worker in range(workers)]


def threads_of_each(processes: int) -> int:
    """Number of threads of each process, if so many processes share the threads of this one."""
    return max(1, torch.get_num_threads() // max(1, processes))


def limit_threads(threads: int) -> None:
    """Let torch use so many threads in this process, and OpenCV one."""
    # OpenCV has a pool of its own, which would compete with torch's for the same cores.
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)


@contextmanager
def arithmetic(*, tf32: bool = False) -> Iterator[None]:
    """Make products on an NVIDIA GPU as precise as on a CPU, within a context.

    Inputs are not rounded, and sums are in float32. By default, torch rounds the inputs of
    convolutions to TF32, and may round parts of the sums of bfloat16 products.

    Args:
        tf32: Round the inputs of float32 products and convolutions to TF32, which is faster.
    """
    # These settings are global, so they are restored at the end.
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    products_before = products.allow_tf32
    convolutions_before = convolutions.allow_tf32
    reduction_before = products.allow_bf16_reduced_precision_reduction

    # TF32 keeps 10 bits of the mantissa of each input, too few to agree with a CPU's numbers.
    products.allow_tf32 = convolutions.allow_tf32 = tf32
    products.allow_bf16_reduced_precision_reduction = False

    try:
        yield
    finally:
        products.allow_tf32 = products_before
        convolutions.allow_tf32 = convolutions_before
        products.allow_bf16_reduced_precision_reduction = reduction_before


def to_device(array: np.ndarray, device: torch.device | str) -> Tensor:
    """An array as a tensor on a device. The host does not wait for a CUDA GPU to copy it."""
    tensor = torch.from_numpy(array)

    # Others copy at once: a Mac's GPU would read memory that is freed meanwhile.
    if torch.device(device).type != "cuda":
        return tensor.to(device)

    # A GPU copies by itself only from pinned memory.
    if torch.cuda.is_available():
        tensor = tensor.pin_memory()

    return tensor.to(device, non_blocking=True)


def numbers(values: Sequence[int], device: torch.device) -> Tensor:
    """Whole numbers as a tensor on a device.

    They are made on the device, in runs of consecutive numbers, because to copy them there would
    make the host wait.

    Args:
        values: n numbers.
        device: Where they are wanted.

    Returns:
        Numbers [n] int64.
    """
    if not values:
        return torch.arange(0, device=device)

    # Each run of consecutive numbers is one arange on the device.
    parts = []
    start = 0
    for end in range(1, len(values) + 1):
        # A run ends before a number that is not the next one, and at the end.
        if end == len(values) or values[end] != values[end - 1] + 1:
            parts.append(torch.arange(values[start], values[end - 1] + 1, device=device))
            start = end

    return torch.cat(parts)
