"""Many items, several processes: one that fails, or whose process dies, does not lose the others."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import wait
from types import FrameType

from densevos.base.errors import InputError, Stopped
from densevos.base.workers import (
    BROKEN,
    THREADS,
    Broken,
    Function,
    Item,
    OnStep,
    ProcessWorker,
    Result,
    ThreadWorker,
    Worker,
    same,
)

__all__ = [
    "BROKEN",
    "THREADS",
    "Broken",
    "Function",
    "OnStep",
    "check_any",
    "check_workers",
    "each",
    "in_processes",
    "shard_of",
    "stopped_by_sigterm",
]


def each(
    function: Function[Item, Result],
    items: Sequence[Item],
    *,
    processes: Sequence[Callable[[], Function[Item, Result]]] = (),
    single_threaded: bool = False,
    here: bool = False,
    on_step: OnStep = lambda title: None,
) -> Iterator[tuple[Item, Result | Broken]]:
    """Every item with function(item, on_step), or with the InputError or RunError that it raised.

    processes: makers of such a function, each called in a process of its own; the items then come as they are
        finished. Without them `function` is called here. The first items are begun first.
    single_threaded: numeric libraries of these processes compute with one thread each. Several processes that share
        the cores must not start as many threads as there are cores.
    here: this process works on items too, with `function` in a thread, while the processes start and afterwards. An
        item that kills its process then kills all.
    on_step: called here with what the function calls it with.

    When the iteration ends, by whatever, no process is left; when this process is killed, the others end by themselves.
    """
    if processes:
        workers: list[Worker[Item]] = [ProcessWorker(maker, single_threaded=single_threaded) for maker in processes]
        yield from _shared_by([ThreadWorker(function), *workers] if here else workers, items, on_step)
        return
    for item in items:
        outcome: Result | Broken
        try:
            outcome = function(item, on_step)
        except BROKEN as error:
            outcome = error
        yield item, outcome


def check_any(broken: Mapping[str, Broken], names: Sequence[str]) -> None:
    """Raise the error of the first of the items that go by `names` if all are broken."""
    if names and len(broken) == len(names):
        first, *others = [broken[name] for name in names]
        raise type(first)(f"{first}" + (f" (and so for the {len(others)} other sequences)" if others else ""))


def shard_of(items: list[Item], shard: str | None, size: Callable[[Item], int]) -> list[Item]:
    """The items of shard "I/N", 1 to N, in their order: dealt in turn from the largest to the smallest.

    Raises InputError for anything else than I/N.
    """
    if shard is None:
        return items
    part, slash, parts = shard.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise InputError(f"--shard {shard}: must be I/N with I from 1 to N, such as 2/4")
    dealt = sorted(range(len(items)), key=lambda i: -size(items[i]))[int(part) - 1 :: int(parts)]
    return [items[i] for i in sorted(dealt)]


def check_workers(workers: int | None) -> None:
    """Raise InputError for a number of processes below 1."""
    if workers is not None and workers < 1:
        raise InputError(f"--workers: must be 1 or more, is {workers}")


def in_processes(
    function: Function[Item, Result], items: Sequence[Item], workers: int | None = None
) -> Iterator[tuple[Item, Result | Broken]]:
    """`each` in processes of one thread that all use the same function: one for each core, or `workers` of them.

    The function must be one that can be sent to another process.
    """
    count = min(workers or os.cpu_count() or 1, len(items))
    makers = [partial(same, function)] * count
    yield from each(function, items, processes=makers, single_threaded=True)


@contextmanager
def stopped_by_sigterm(cure: str) -> Iterator[None]:
    """SIGTERM raises Stopped, saying `cure`, so that what is open is closed and processes are ended."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(cure)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _shared_by(
    workers: Sequence[Worker[Item]], items: Sequence[Item], on_step: OnStep
) -> Iterator[tuple[Item, Result | Broken]]:
    """Every item with its outcome, each from one of the workers, of whom none is left at the end."""
    waiting = deque(items)
    busy = list(workers[: len(items)])
    workers = tuple(busy)
    try:
        for worker in workers:
            worker.begin(waiting.popleft())
        while busy:
            ready = wait([worker.connection for worker in busy])
            for worker in [worker for worker in busy if worker.connection in ready]:
                kind, value = worker.answer()
                if kind == "error":
                    raise value
                if kind == "step":
                    on_step(value)
                    continue
                finished = worker.item
                if waiting:
                    worker.begin(waiting.popleft())
                else:
                    busy.remove(worker)
                yield finished, value
    finally:
        for worker in workers:
            worker.end()
