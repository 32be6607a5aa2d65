"""Some processes of one group, for tests of what several GPUs do."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from densevos.engine import distributed


def run_ranks(
    count: int, work: Callable[..., None], folder: Path, *args: Any, timeout: int = 60
) -> None:
    """Call `work(rank, *args)` in `count` processes that are a group; the first error of any is
    raised here.

    The processes are spawned: a fork inherits locks that threads of this process hold, and may wait
    for them for ever. They meet in a file of `folder`: a port may be taken by whatever else runs on
    the machine. Exchanges fail after `timeout` seconds.
    """
    arguments = (count, folder / "meeting", timeout, work, args)
    mp.start_processes(_joined, args=arguments, nprocs=count, start_method="spawn")


def run_two_ranks(work: Callable[..., None], folder: Path, *args: Any) -> None:
    """`run_ranks` of two."""
    run_ranks(2, work, folder, *args)


def _joined(
    rank: int,
    count: int,
    meeting: Path,
    timeout: int,
    work: Callable[..., None],
    args: tuple[Any, ...],
) -> None:
    torch.set_num_threads(1)
    patience = timedelta(seconds=timeout)
    dist.init_process_group(
        "gloo", f"file://{meeting}", world_size=count, rank=rank, timeout=patience
    )
    work(rank, *args)
    distributed.stop()
