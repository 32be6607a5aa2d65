"""Several processes that share one batch: collective operations, with gradients where needed.

DistributedDataParallel averages gradients over ranks. Each rank's loss is the mean over its own
clips, compared with the gathered anchors of all ranks. The averaged gradient therefore equals that
of one process with the complete batch.
"""

# Shapes: n rows of one rank, K values of a row, ranks*n rows of all ranks in rank order

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
"""How long `stop` waits for the last collective to be cleaned up."""
ROLL_CALL_SECONDS = 5
"""How long the ranks that are still alive may take to report after a failed collective."""
LONGEST_WAIT = timedelta(hours=24)
"""How long ranks wait for the slowest one between rounds, when they relabel videos of very
different length.
"""
POLL_SECONDS = 0.05


def start(device: torch.device, timeout: int = 600) -> None:
    """Join the process group if `torchrun` started this process; otherwise do nothing.

    Args:
        device: Where this process computes.
        timeout: Seconds after which a collective fails if a rank does not take part.
    """
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        if device.type == "cuda":
            # Without this, every rank would also take memory of GPU 0.
            torch.cuda.set_device(device)

        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(seconds=timeout))


def stop() -> None:
    """Leave the process group, if this process is in one."""
    if dist.is_initialized():
        # A thread of Gloo frees the tensors of the last collective, for which it needs Python's
        # lock. In torch 2.6 the group holds that lock while it waits for the thread, so a late
        # thread would wait forever. Sleeping releases the lock.
        time.sleep(SETTLE_SECONDS)
        dist.destroy_process_group()


def rank() -> int:
    """Number of this process, 0 if it is alone."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Number of processes in the group, 1 without a group."""
    return dist.get_world_size() if dist.is_initialized() else 1


def launched_world_size() -> int:
    """Number of processes that `torchrun` started, which is known before they join."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_rank() -> int:
    """Number of this process on its machine, 0 if it is alone."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def on_first(function: Callable[[], Result]) -> Result:
    """Call a function on rank 0 alone, and give every rank its result.

    This is for decisions that depend on files, which two machines may see differently.

    Args:
        function: What rank 0 calls; its result must be picklable.

    Returns:
        What the function returned on rank 0.

    Raises:
        Exception: What the function raised on rank 0. Other ranks raise an InputError or RunError
            with the same message.
    """
    if world_size() == 1:
        return function()

    outcome: list[Any] = [None, None]  # the result and the error
    error: Exception | None = None
    if rank() == 0:
        try:
            outcome[0] = function()
        except Exception as raised:
            error = raised
            # Other errors may not be picklable.
            kind = type(raised) if isinstance(raised, InputError | RunError) else RunError
            outcome[1] = kind(str(raised))

    dist.broadcast_object_list(outcome, src=0)
    if error is not None:
        raise error  # rank 0 raises the original, with its traceback
    if outcome[1] is not None:
        raise outcome[1]

    result: Result = outcome[0]
    return result


def barrier() -> None:
    """Wait until every rank has called this as often as this rank, at most LONGEST_WAIT.

    Unlike dist.barrier, this does not fail after the timeout of collectives.

    Raises:
        RunError: Ranks did not come in time; the message names them.
    """
    if world_size() == 1:
        return

    # The store counts the calls of all ranks. This is complete when the count reaches the next
    # multiple of the number of ranks.
    store = dist.distributed_c10d._get_default_store()
    arrived = store.add("densevos/arrived", 1)
    expected = -(-arrived // world_size()) * world_size()
    store.set(f"densevos/waits/{rank()}", str(expected))
    deadline = time.monotonic() + LONGEST_WAIT.total_seconds()

    while store.add("densevos/arrived", 0) < expected:
        if time.monotonic() > deadline:
            absent = _absent(store, "waits", str(expected))
            raise RunError(f"{_names(absent)} did not come to the end of the round")

        time.sleep(POLL_SECONDS)


def broadcast_buffers(module: torch.nn.Module) -> None:
    """Copy rank 0's buffers to every rank; batch statistics differ between ranks after a step."""
    if world_size() > 1:
        for buffer in module.buffers():
            dist.broadcast(buffer, 0)


def totals(numbers: Sequence[float]) -> list[float]:
    """Sum numbers of the host over all ranks; no GPU has to be waited for.

    Args:
        numbers: As many on every rank.

    Returns:
        The sum over all ranks of each number.
    """
    if world_size() == 1:
        return list(numbers)

    # A tensor on the CPU is exchanged by Gloo, beside the work of the GPU.
    sums = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(sums)
    listed: list[float] = sums.tolist()
    return listed


def gathered(here: Any) -> list[Any]:
    """Collect a picklable value from every rank.

    Args:
        here: This rank's value.

    Returns:
        The values of all ranks, in rank order.
    """
    if world_size() == 1:
        return [here]

    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, here)
    return values


def own_share(drawn: Tensor) -> Tensor:
    """This rank's part of what was drawn for the batch of all ranks.

    Drawing for all ranks and taking a part makes draws independent of the number of ranks.

    Args:
        drawn: [ranks*n,...], the same on all ranks.

    Returns:
        This rank's rows [n,...].
    """
    return drawn if world_size() == 1 else drawn.chunk(world_size())[rank()]


def gather_rows(rows: Tensor) -> Tensor:
    """Concatenate the rows of all ranks; the gradient of a row goes back to its rank.

    Args:
        rows: This rank's rows [n,K]; n is the same on all ranks.

    Returns:
        The rows of all ranks [ranks*n,K], in rank order.
    """
    return rows if world_size() == 1 else _GatherRows.apply(rows)


def summed(tensor: Tensor) -> Tensor:
    """Sum a tensor over all ranks; the gradient goes back to every rank.

    Args:
        tensor: Of any shape, the same on all ranks.

    Returns:
        The sum, of the same shape.
    """
    return tensor if world_size() == 1 else _Sum.apply(tensor)


def row_offset(count: int) -> int:
    """Index of this rank's first row in what `gather_rows` returns.

    Args:
        count: Number of rows on each rank.

    Returns:
        The index.
    """
    return rank() * count


@contextmanager
def lost_ranks_named() -> Iterator[None]:
    """Turn the error of a collective that another rank left into a RunError that names that rank.

    Raises:
        RunError: Another rank died, or hangs for longer than the timeout of `start`.
    """
    try:
        yield
    except RuntimeError as error:
        if world_size() == 1 or not _is_of_a_collective(error):
            raise
        raise RunError(_describe_loss(error)) from error


def _is_of_a_collective(error: RuntimeError) -> bool:
    # Gloo raises plain RuntimeErrors that name its source files.
    return isinstance(error, dist.DistError) or "gloo" in str(error)


def _describe_loss(error: RuntimeError) -> str:
    """Take a roll call in the store, and name the ranks that do not answer."""
    hint = "its own message, if it left one, says why; start again with --resume auto"
    try:
        # The collective failed on every rank that is alive, so all of them come here.
        store = dist.distributed_c10d._get_default_store()
        store.set(f"densevos/here/{rank()}", "yes")
        deadline = time.monotonic() + ROLL_CALL_SECONDS
        while (absent := _absent(store, "here", "yes")) and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    except RuntimeError:  # rank 0 holds the store
        return f"the machine of rank 0 does not answer; {hint}"

    if not absent:
        reason = str(error).splitlines()[0]
        return f"the ranks lost their connections ({reason}); start again with --resume auto"

    return f"{_names(absent)} of {world_size()} died or hangs; {hint}"


def _absent(store: dist.distributed_c10d.Store, key: str, expected: str) -> list[int]:
    """Ranks that have not written `expected` under their key."""
    absent = []
    for number in range(world_size()):
        name = f"densevos/{key}/{number}"
        # `get` would wait for a key that is missing.
        if not store.check([name]) or store.get(name).decode() != expected:
            absent.append(number)

    return absent


def _names(numbers: Sequence[int]) -> str:
    """Ranks as a message names them: "rank 1" or "ranks 1, 3"."""
    noun = "ranks" if len(numbers) > 1 else "rank"
    return f"{noun} {', '.join(map(str, numbers))}"


class _GatherRows(torch.autograd.Function):
    """See `gather_rows`."""

    @staticmethod
    def forward(context: Any, rows: Tensor) -> Tensor:
        context.count = len(rows)
        gathered = [torch.empty_like(rows) for _ in range(world_size())]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        # Every rank used every row, so the owner's gradient is the sum over all ranks.
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient[row_offset(context.count) :][: context.count]


class _Sum(torch.autograd.Function):
    """See `summed`."""

    @staticmethod
    def forward(context: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient
