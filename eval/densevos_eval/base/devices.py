"""Which device a process computes on, how, and how several share one machine."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby

import cv2
import numpy as np
import torch
from torch import Tensor

from densevos.base.devices import preferred_device
from densevos.base.errors import InputError


def chosen(device: torch.device | str) -> torch.device:
    """A device by torch's name for it; auto is an NVIDIA or AMD GPU, else a Mac's GPU, else the
    CPU.

    Raises InputError for one that this machine does not have.
    """
    if device == "auto":
        device = preferred_device()

    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(
            f"--device {device}: cannot be used ({reason}); take cpu, cuda, mps or auto"
        ) from error


def spread_over(device: str, workers: int | None) -> list[str]:
    """The device of each of `workers` processes: of several CUDA GPUs each in turn, if no single
    one is named.

    workers: one for each GPU when None, and one where there is none.
    """
    count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    return [f"cuda:{i % count}" if count else device for i in range(workers or max(count, 1))]


def threads_of_each(processes: int) -> int:
    """Threads of each of so many processes, which share the cores of this one."""
    return max(1, torch.get_num_threads() // max(1, processes))


def limit_threads(threads: int) -> None:
    """Compute with so many threads in this process, and pictures with one."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)


@contextmanager
def arithmetic(*, tf32: bool = False) -> Iterator[None]:
    """Products on an NVIDIA GPU as precise as on a CPU: of whole float32 numbers, and with sums in
    float32.

    torch's own defaults round the inputs of convolutions to TF32, and may round parts of the sums
    of bfloat16 products.

    tf32: Round the inputs of float32 products and convolutions to TF32, which is faster.
    """
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (
        products.allow_tf32,
        convolutions.allow_tf32,
        products.allow_bf16_reduced_precision_reduction,
    )
    products.allow_tf32 = convolutions.allow_tf32 = tf32
    products.allow_bf16_reduced_precision_reduction = False

    try:
        yield
    finally:
        (
            products.allow_tf32,
            convolutions.allow_tf32,
            products.allow_bf16_reduced_precision_reduction,
        ) = before


def to_device(array: np.ndarray, device: torch.device | str) -> Tensor:
    """An array as a tensor on a device; a CUDA GPU fetches it from pinned memory while the host
    goes on.
    """
    tensor = torch.from_numpy(array)
    if torch.device(device).type != "cuda":
        return tensor.to(device)  # A Mac's GPU would read memory that is freed meanwhile.

    return (tensor.pin_memory() if torch.cuda.is_available() else tensor).to(
        device, non_blocking=True
    )


def numbers(values: Sequence[int], device: torch.device) -> Tensor:
    """Whole numbers [n] as int64 on a device, made there in runs: to copy them would make the host
    wait.
    """
    runs = [
        [value for _, value in run]
        for _, run in groupby(enumerate(values), lambda pair: pair[1] - pair[0])
    ]
    parts = [torch.arange(run[0], run[-1] + 1, device=device) for run in runs]

    return torch.cat(parts) if parts else torch.arange(0, device=device)
