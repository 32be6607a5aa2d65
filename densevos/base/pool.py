"""Processes of one thread each: several sharing the cores must not start as many threads as there are cores."""

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context

from densevos.base.errors import RunError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def one_thread_processes(workers: int | None) -> Iterator[ProcessPoolExecutor]:
    """A pool of `workers` processes (None: one a core); work that still waits is dropped when the block fails.

    Raises RunError when a process dies.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))  # Libraries look when loaded: in the new processes, not in this one.
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_end_with_parent)
    try:
        yield pool
    except BrokenProcessPool as error:
        raise RunError("a worker process died, perhaps for want of memory; run again with fewer --workers") from error
    finally:
        pool.shutdown(cancel_futures=True)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _end_with_parent() -> None:
    """Make this process end when the one that started it has died, which a pool's processes do not by themselves."""

    def wait() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
