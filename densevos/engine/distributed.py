"""Several processes, one batch: what crosses ranks keeps its gradient, and a rank that is lost is
named.

DistributedDataParallel averages gradients over ranks; each rank's loss is the mean over its own
clips against the gathered anchors of all, so the sum equals one process on the whole batch.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from densevos.base.errors import InputError, RunError

Result = TypeVar("Result")

SETTLE_SECONDS = 0.2
ROLL_CALL_SECONDS = 5
"""How long after a failed exchange the ranks that are still there may take to say so."""
LONGEST_WAIT = timedelta(hours=24)
"""Ranks wait so long for the slowest while videos of very different length are relabelled between
rounds.
"""
POLL_SECONDS = 0.05


def start(device: torch.device, timeout: int = 600) -> None:
    """Join the process group when started by `torchrun`; otherwise do nothing.

    timeout: Seconds after which an exchange fails that not all ranks take part in.
    """
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        if device.type == "cuda":
            torch.cuda.set_device(device)  # Else every rank takes memory of GPU 0 too.
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))


def stop() -> None:
    """Leave the process group, if in one."""
    if dist.is_initialized():
        # Gloo's thread frees the tensors of the last collective and needs Python's lock for it. In
        # torch 2.6 the group holds that lock while it waits for the thread: a late one waits for
        # ever. Sleeping hands the lock on.
        time.sleep(SETTLE_SECONDS)
        dist.destroy_process_group()


def rank() -> int:
    """This process's number, 0 when alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def launched_world_size() -> int:
    """Number of processes that `torchrun` started, which is known before they join."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """This process's number on its machine, 0 when alone."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def on_first(function: Callable[[], Result]) -> Result:
    """What the function returns, or raises, on rank 0, which alone calls it: all ranks then go on
    alike.

    For decisions by what lies on disk, which two machines may see differently.
    """
    if world_size() == 1:
        return function()

    outcome: list[Any] = [None, None]
    error: Exception | None = None
    if rank() == 0:
        try:
            outcome[0] = function()
        except Exception as raised:
            error = raised
            kind = type(raised) if isinstance(raised, InputError | RunError) else RunError
            outcome[1] = kind(str(raised))

    dist.broadcast_object_list(outcome, src=0)
    if error is not None:
        raise error
    if outcome[1] is not None:
        raise outcome[1]

    result: Result = outcome[0]
    return result


def barrier() -> None:
    """Wait until every process is here, however long it takes; RunError names those that do not
    come in a day.
    """
    if world_size() == 1:
        return

    store = dist.distributed_c10d._get_default_store()
    arrived = store.add("densevos/arrived", 1)
    everybody = -(-arrived // world_size()) * world_size()
    store.set(f"densevos/waits/{rank()}", str(everybody))
    deadline = time.monotonic() + LONGEST_WAIT.total_seconds()

    while store.add("densevos/arrived", 0) < everybody:
        if time.monotonic() > deadline:
            raise RunError(
                f"{_names(_absent(store, 'waits', str(everybody)))} did not come to the end of the round"
            )

        time.sleep(POLL_SECONDS)


def broadcast_buffers(module: torch.nn.Module) -> None:
    """Every rank takes rank 0's buffers: batch statistics differ between ranks after the last
    step.
    """
    if world_size() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def totals(numbers: Sequence[float]) -> list[float]:
    """The sum over all ranks of each number, which the host knows: no device waits."""
    if world_size() == 1:
        return list(numbers)

    sums = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(sums)
    listed: list[float] = sums.tolist()
    return listed


def gathered(here: Any) -> list[Any]:
    """What each rank has, in rank order: plain values of any kind."""
    if world_size() == 1:
        return [here]

    everywhere: list[Any] = [None] * world_size()
    dist.all_gather_object(everywhere, here)
    return everywhere


def own_share(whole: Tensor) -> Tensor:
    """This rank's rows of what was drawn for the whole batch [ranks*n,...]: draws do not depend on
    the rank.
    """
    return whole if world_size() == 1 else whole.chunk(world_size())[rank()]


def gather_rows(rows: Tensor) -> Tensor:
    """Rows [n,K] of every rank -> [ranks*n,K] in rank order; the gradient goes back to the rank
    that owns a row.
    """
    return rows if world_size() == 1 else _GatherRows.apply(rows)


def summed(tensor: Tensor) -> Tensor:
    """The sum over all ranks of a tensor of one shape; the gradient goes back to every part."""
    return tensor if world_size() == 1 else _Sum.apply(tensor)


def row_offset(count: int) -> int:
    """Where this rank's `count` rows begin among the gathered ones."""
    return rank() * count


@contextmanager
def lost_ranks_named() -> Iterator[None]:
    """Turn what an exchange raises when another rank is gone or hangs into a RunError that names
    this rank.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not _is_of_an_exchange(error):
            raise
        raise RunError(_whom_we_lost(error)) from error


def _is_of_an_exchange(error: RuntimeError) -> bool:
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _whom_we_lost(error: RuntimeError) -> str:
    """Which ranks do not say that they are there; all that are come here, as the exchange failed
    for each of them.
    """
    hint = "its own message, if it left one, says why; start again with --resume auto"
    try:
        store = dist.distributed_c10d._get_default_store()
        store.set(f"densevos/here/{rank()}", "yes")
        deadline = time.monotonic() + ROLL_CALL_SECONDS
        while (absent := _absent(store, "here", "yes")) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    except RuntimeError:
        return f"the machine of rank 0 does not answer; {hint}"

    if not absent:
        return f"the ranks lost touch with one another ({str(error).splitlines()[0]}); start again with --resume auto"

    return f"{_names(absent)} of {world_size()} died or hangs; {hint}"


def _absent(store: dist.Store, what: str, said: str) -> list[int]:
    keys = {number: f"densevos/{what}/{number}" for number in range(world_size())}
    return [
        number
        for number, key in keys.items()
        if not (store.check([key]) and store.get(key).decode() == said)
    ]


def _names(numbers: Sequence[int]) -> str:
    return f"rank{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"


class _GatherRows(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:  # type: ignore[override]
        context.count = len(rows)
        gathered = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        # Every rank used every row: the owner's gradient is the sum of what all of them found.
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[row_offset(context.count) :][: context.count]


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:  # type: ignore[override]
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient
