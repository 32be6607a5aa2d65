"""Which device a process computes on, and how several share one machine."""

import cv2
import torch

from densevos.base.errors import InputError


def chosen(device: torch.device | str) -> torch.device:
    """As torch names them; auto: a GPU where there is one. InputError for one that this machine does not have."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"--device {device}: cannot be used ({reason}); take cpu, cuda or auto") from error


def spread_over(device: str, workers: int | None) -> list[str]:
    """The device of each of `workers` processes: of several GPUs each in turn, if no single one is named.

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
