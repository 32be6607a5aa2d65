"""Two processes of one group, for tests of what several GPUs do."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from densevos.engine import distributed


def run_two_ranks(work: Callable[..., None], folder: Path, *args: Any) -> None:
    """Call `work(rank, *args)` in two processes that are a group; the first error of either is raised here.

    The processes are spawned: a fork inherits locks that threads of this process hold, and may wait for them for ever.
    They meet in a file of `folder`: a port may be taken by whatever else runs on the machine.
    """
    mp.start_processes(_joined, args=(folder / "meeting", work, args), nprocs=2, start_method="spawn")


def _joined(rank: int, meeting: Path, work: Callable[..., None], args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{meeting}", world_size=2, rank=rank, timeout=timedelta(seconds=60))
    work(rank, *args)
    distributed.stop()
