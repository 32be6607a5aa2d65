"""Many items, several processes: one that fails, hangs, or whose process dies does not lose the
others.
"""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType

from densevos.base.errors import InputError, Stopped
from densevos.base.workers import (
    BROKEN,
    THREADS,
    Broken,
    BusyWorkers,
    DiedError,
    Function,
    HungError,
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
    "DiedError",
    "Function",
    "Growing",
    "HungError",
    "OnStep",
    "check_any",
    "check_timeout",
    "check_workers",
    "each",
    "in_order",
    "in_processes",
    "named",
    "shard_of",
    "shard_range",
    "stopped_by_sigterm",
]


def each(
    function: Function[Item, Result],
    items: Iterable[Item],
    *,
    processes: Sequence[Callable[[], Function[Item, Result]]] = (),
    single_threaded: bool = False,
    here: bool = False,
    on_step: OnStep = lambda title: None,
    timeout: float | None = None,
) -> Iterator[tuple[Item, Result | Broken]]:
    """Every item with function(item, on_step), or with the InputError or RunError that it raised.

    items: taken one by one when a process is free, so that they need not all be in memory. Of
    `Growing` items, those
        that are added while outcomes are looked at come too.
    processes: makers of such a function, each called in a process of its own; the items then come
    as they are
        finished. Without them `function` is called here. The first items are begun first.
    single_threaded: numeric libraries of these processes compute with one thread each. Several
    processes that share
        the cores must not start as many threads as there are cores.
    here: this process works on items too, with `function` in a thread, while the processes start
    and afterwards. An
        item that kills its process then kills all.
    on_step: called here with what the function calls it with.
    timeout: seconds. A process that neither finishes its item nor calls on_step for so long is
    killed, the item's
        outcome is a RunError, and another process goes on. What is worked on in this process has no
        such limit.

    When the iteration ends, by whatever, no process is left; when this process is killed, the
    others end by themselves.
    """
    if processes:
        workers: list[Worker[Item]] = [
            ProcessWorker(maker, single_threaded=single_threaded) for maker in processes
        ]
        yield from _shared_by(
            [ThreadWorker(function), *workers] if here else workers, iter(items), on_step, timeout
        )

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
        raise type(first)(
            f"{first}" + (f" (and so for the {len(others)} other sequences)" if others else "")
        )


class Growing(Iterator[Item]):
    """Items for `each` that others may be added to while it goes on: added ones first, then the
    next of `items`.
    """

    def __init__(self, items: Iterable[Item]):
        self._items = iter(items)
        self._added: deque[Item] = deque()

    def add(self, items: Iterable[Item]) -> None:
        """Let these come next."""
        self._added.extend(items)

    def __next__(self) -> Item:
        return self._added.popleft() if self._added else next(self._items)


def in_order(
    outcomes: Iterable[tuple[tuple[int, Item], Result]],
) -> Iterator[tuple[tuple[int, Item], Result]]:
    """Outcomes of items (0, ...), (1, ...), ... in this order; those that come early are kept until
    their turn.
    """
    early: dict[int, tuple[tuple[int, Item], Result]] = {}
    turn = 0
    for outcome in outcomes:
        early[outcome[0][0]] = outcome
        while turn in early:
            yield early.pop(turn)
            turn += 1


def shard_of(items: list[Item], shard: str | None, size: Callable[[Item], int]) -> list[Item]:
    """The items of shard "I/N", 1 to N, in their order: dealt in turn from the largest to the
    smallest.

    Raises InputError for anything else than I/N.
    """
    if shard is None:
        return items

    part, parts = _parsed(shard)
    dealt = sorted(range(len(items)), key=lambda i: -size(items[i]))[part - 1 :: parts]
    return [items[i] for i in sorted(dealt)]


def shard_range(count: int, shard: str | None) -> range:
    """The indices, of 0 to count - 1, of shard "I/N": every N-th one. Raises InputError for
    anything else than I/N.
    """
    part, parts = (1, 1) if shard is None else _parsed(shard)
    return range(part - 1, count, parts)


def _parsed(shard: str) -> tuple[int, int]:
    part, slash, parts = shard.partition("/")
    if not (slash and part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise InputError(f"--shard {shard}: must be I/N with I from 1 to N, such as 2/4")
    return int(part), int(parts)


def check_workers(workers: int | None) -> None:
    """Raise InputError for a number of processes below 1."""
    if workers is not None and workers < 1:
        raise InputError(f"--workers: must be 1 or more, is {workers}")


def check_timeout(timeout: float | None) -> None:
    """Raise InputError for a limit of time that is not above 0."""
    if timeout is not None and not timeout > 0:
        raise InputError(f"--timeout: must be above 0 seconds, is {timeout:g}")


def in_processes(
    function: Function[Item, Result],
    items: Iterable[Item],
    workers: int | None = None,
    *,
    timeout: float | None = None,
) -> Iterator[tuple[Item, Result | Broken]]:
    """`each` in processes of one thread that all use the same function: one for each core, or
    `workers` of them.

    The function must be one that can be sent to another process.
    """
    makers = [partial(same, function)] * (workers or os.cpu_count() or 1)
    yield from each(function, items, processes=makers, single_threaded=True, timeout=timeout)


def named(title: str, error: object) -> str:
    """The line of an error, beginning with what it happened to where it does not say that
    itself.
    """
    return str(error) if title in str(error) else f"{title}: {error}"


@contextmanager
def stopped_by_sigterm(hint: str) -> Iterator[None]:
    """SIGTERM raises Stopped, saying `hint`, so that what is open is closed and processes are
    ended.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(hint)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _shared_by(
    workers: Sequence[Worker[Item]], items: Iterator[Item], on_step: OnStep, timeout: float | None
) -> Iterator[tuple[Item, Result | Broken]]:
    """Every item with its outcome, each from one of the workers, of whom none is left at the
    end.
    """
    idle, busy = deque(workers), BusyWorkers[Item](timeout)
    try:
        while True:
            # Asked anew after every outcome, since items may have been added meanwhile.
            while idle and (taken := _next_of(items)):
                busy.begin(idle[0], *taken)
                idle.popleft()

            if not busy.workers:
                return

            for worker, kind, value in busy.answers():
                if kind == "error":
                    raise value
                if kind == "step":
                    on_step(value)
                elif kind == "done":
                    finished = worker.item
                    busy.workers.pop(worker)
                    idle.appendleft(
                        worker
                    )  # One that is running is taken before one that would have to start.
                    yield finished, value
    finally:
        for worker in workers:
            worker.end()


def _next_of(items: Iterator[Item]) -> tuple[Item] | None:
    """The next item, as a tuple of one; None when there is none now."""
    try:
        return (next(items),)
    except StopIteration:
        return None
