"""Several processes, one batch: what crosses ranks keeps its gradient.

DistributedDataParallel averages gradients over ranks; each rank's loss is the mean over its own clips against
the gathered anchors of all, so the sum equals one process on the whole batch.
"""

import os
import time
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

SETTLE_SECONDS = 0.2


def start(device: torch.device) -> None:
    """Join the process group when started by `torchrun`; otherwise do nothing."""
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)  # Else every rank takes memory of GPU 0 too.
        # Ranks wait for the slowest while videos of very different length are relabelled between rounds.
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=timedelta(hours=3))


def stop() -> None:
    """Leave the process group, if in one."""
    if dist.is_initialized():
        # Gloo's thread frees the tensors of the last collective and needs Python's lock for it. In torch 2.6 the group
        # holds that lock while it waits for the thread: a late one waits for ever. Sleeping hands the lock on.
        time.sleep(SETTLE_SECONDS)
        dist.destroy_process_group()


def rank() -> int:
    """This process's number, 0 when alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def ranks() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def started() -> int:
    """Number of processes that `torchrun` started, which is known before they join."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """This process's number on its machine, 0 when alone."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def wait() -> None:
    """Wait until every process is here."""
    if ranks() > 1:
        dist.barrier()


def share_buffers(module: torch.nn.Module) -> None:
    """Every rank takes rank 0's buffers: batch statistics differ between ranks after the last step."""
    if ranks() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def any_rank(here: bool, device: torch.device) -> bool:
    """Whether the answer is yes on some rank: all ranks then act together."""
    if ranks() == 1:
        return here
    answers = torch.tensor(float(here), device=device)
    dist.all_reduce(answers)
    return bool(answers > 0)


def gather_rows(rows: Tensor) -> Tensor:
    """Rows [n,K] of every rank -> [ranks*n,K] in rank order; the gradient goes back to the rank that owns a row."""
    return rows if ranks() == 1 else _GatherRows.apply(rows)


def first_row(count: int) -> int:
    """Where this rank's `count` rows begin among the gathered ones."""
    return rank() * count


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:  # type: ignore[override]
        context.count = len(rows)
        gathered = [torch.empty_like(rows) for _ in range(ranks())]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        # Every rank used every row: the owner's gradient is the sum of what all of them found.
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[first_row(context.count) :][: context.count]
