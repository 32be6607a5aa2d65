"""Work on many items in several processes.

If an item fails, hangs or kills its process, all other items are still processed.
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

# The names of `workers` that callers need, so that they import one module alone.
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
    """Call a function with every item, in several processes or in this one.

    When the iteration ends, for whatever reason, no process is left. If this process is killed, the
    others end by themselves.

    Args:
        function: Called with an item and `on_step`.
        items: Taken one by one when a process is free, so they need not all be in memory. Items
            that are added to `Growing` items during the iteration are processed, too.
        processes: Functions that make such a function; each is called in a process of its own.
            Without them `function` is called in this process.
        single_threaded: Let numeric libraries of the processes use one thread each, so that
            processes which share the cores do not start more threads than there are cores.
        here: Also call `function` in a thread of this process, while the processes start and
            afterwards. An item that kills its process then ends everything.
        on_step: Called in this process with the arguments that the function calls it with.
        timeout: Seconds after which a process is killed if it neither finished its item nor called
            `on_step`. The item's outcome is then a RunError. There is no limit in this process.

    Yields:
        Every item with the function's result, or with the InputError or RunError that the function
        raised. Items start in their order; with processes they are yielded as they finish.
    """
    # Processes share the items: one that is free takes the next, so slow items hold up no others.
    if processes:
        # The thread comes first: it can start at once, while processes still load their modules.
        workers: list[Worker[Item]] = [ThreadWorker(function)] if here else []
        for maker in processes:
            workers.append(ProcessWorker(maker, single_threaded=single_threaded))

        yield from _shared_by(workers, iter(items), on_step, timeout)
        return

    # Without processes only errors of one item are caught; all others end the iteration, too.
    for item in items:
        outcome: Result | Broken
        try:
            outcome = function(item, on_step)
        except BROKEN as error:
            outcome = error

        yield item, outcome


def check_any(broken: Mapping[str, Broken], names: Sequence[str]) -> None:
    """Raise an error if no item has a result.

    Args:
        broken: Name of an item -> its error.
        names: Names of all items.

    Raises:
        InputError, RunError: All items are broken; the error of the first one.
    """
    # If all items are broken, the cause is probably common, and the error of the first one says it.
    if names and len(broken) == len(names):
        first = broken[names[0]]
        others = len(names) - 1
        note = f" (and so for the {others} other sequences)" if others else ""
        raise type(first)(f"{first}{note}")


class Growing(Iterator[Item]):
    """Items for `each` that can be added to during the iteration; added items come next.

    Args:
        items: The first items.
    """

    def __init__(self, items: Iterable[Item]):
        self._items = iter(items)
        self._added: deque[Item] = deque()

    def add(self, items: Iterable[Item]) -> None:
        """Add items, which come before all that are left."""
        self._added.extend(items)

    def __next__(self) -> Item:
        # Added items come first, since they may follow from an item that was just finished.
        return self._added.popleft() if self._added else next(self._items)


def in_order(
    outcomes: Iterable[tuple[tuple[int, Item], Result]],
) -> Iterator[tuple[tuple[int, Item], Result]]:
    """Put outcomes of numbered items into the order of their numbers.

    Args:
        outcomes: Items (number, item) with their results, in any order; numbers start from 0.

    Yields:
        The same in order. Outcomes that come early are kept until it is their turn.
    """
    early: dict[int, tuple[tuple[int, Item], Result]] = {}
    next_number = 0
    for outcome in outcomes:
        (number, _), _ = outcome
        early[number] = outcome
        # What is next in order leaves at once, so only outcomes that overtook others are kept.
        while next_number in early:
            yield early.pop(next_number)
            next_number += 1


def shard_of(items: list[Item], shard: str | None, size: Callable[[Item], int]) -> list[Item]:
    """Select the items of a shard, so that all shards take about as long.

    Args:
        items: All items.
        shard: "I/N", the I-th of N shards, counted from 1; None for all items.
        size: How long an item takes, in any unit.

    Returns:
        The shard's items, in the order of `items`.

    Raises:
        InputError: `shard` has another form.
    """
    if shard is None:
        return items

    # Items are dealt like cards, the largest first.
    part, parts = _parsed(shard)
    largest_first = sorted(range(len(items)), key=lambda index: -size(items[index]))
    selected = sorted(largest_first[part - 1 :: parts])
    return [items[index] for index in selected]


def shard_range(count: int, shard: str | None) -> range:
    """Select every N-th index.

    Args:
        count: Number of items.
        shard: "I/N", the I-th of N shards, counted from 1; None for all indices.

    Returns:
        The shard's indices, among 0 to count - 1.

    Raises:
        InputError: `shard` has another form.
    """
    # Dealing by index keeps each shard the same when the command is repeated.
    part, parts = (1, 1) if shard is None else _parsed(shard)
    return range(part - 1, count, parts)


def _parsed(shard: str) -> tuple[int, int]:
    """I and N of a shard "I/N"."""
    part, slash, parts = shard.partition("/")
    # isdecimal refuses signs, spaces and points, which int would accept or fail on.
    are_numbers = slash and part.isdecimal() and parts.isdecimal()
    if not (are_numbers and 1 <= int(part) <= int(parts)):
        raise InputError(f"--shard {shard}: must be I/N with I from 1 to N, such as 2/4")

    return int(part), int(parts)


def check_workers(workers: int | None) -> None:
    """Raise InputError if the number of processes is below 1."""
    if workers is not None and workers < 1:
        raise InputError(f"--workers: must be 1 or more, is {workers}")


def check_timeout(timeout: float | None) -> None:
    """Raise InputError if the time limit in seconds is not above 0."""
    # `not ... > 0` refuses NaN as well.
    if timeout is not None and not timeout > 0:
        raise InputError(f"--timeout: must be above 0 seconds, is {timeout:g}")


def in_processes(
    function: Function[Item, Result],
    items: Iterable[Item],
    workers: int | None = None,
    *,
    timeout: float | None = None,
) -> Iterator[tuple[Item, Result | Broken]]:
    """Call a function with every item, in processes with one thread each; see `each`.

    Args:
        function: Called with an item and a function for steps; it must be picklable.
        items: The items.
        workers: Number of processes; None for one per core.
        timeout: See `each`.

    Yields:
        Every item with its outcome, as they finish.
    """
    # `same` can be pickled, unlike a lambda.
    makers = [partial(same, function)] * (workers or os.cpu_count() or 1)
    yield from each(function, items, processes=makers, single_threaded=True, timeout=timeout)


def named(title: str, error: object) -> str:
    """The message of an error, with the item that it concerns.

    Args:
        title: Name of the item.
        error: The error.

    Returns:
        The message, with the title in front unless it contains the title already.
    """
    return str(error) if title in str(error) else f"{title}: {error}"


@contextmanager
def stopped_by_sigterm(hint: str) -> Iterator[None]:
    """Turn SIGTERM into Stopped, so that files are closed and processes are ended.

    Args:
        hint: The message: how to continue.

    Raises:
        Stopped: SIGTERM came.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise Stopped(hint)

    # By default SIGTERM ends Python at once, without any `finally`.
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _shared_by(
    workers: Sequence[Worker[Item]], items: Iterator[Item], on_step: OnStep, timeout: float | None
) -> Iterator[tuple[Item, Result | Broken]]:
    """Every item with its outcome; all workers are ended at the end."""
    idle, busy = deque(workers), BusyWorkers[Item](timeout)
    try:
        while True:
            # `items` is asked again after every outcome, because items may have been added. The
            # worker stays idle until it has the item: starting its process may fail.
            while idle and (taken := _next_of(items)):
                busy.begin(idle[0], *taken)
                idle.popleft()

            # No answer can come any more: all items are taken, and none is being worked on.
            if not busy.workers:
                return

            for worker, kind, value in busy.answers():
                # An error that does not concern one item ends everything.
                if kind == "error":
                    raise value
                if kind == "step":
                    on_step(value)
                elif kind == "done":
                    finished = worker.item
                    busy.workers.pop(worker)
                    # In front: workers that run are used before others are started.
                    idle.appendleft(worker)
                    yield finished, value
    finally:
        # Also when the caller stops early or an error passes: no process may be left behind.
        for worker in workers:
            worker.end()


def _next_of(items: Iterator[Item]) -> tuple[Item] | None:
    """The next item as a tuple, since an item may be None; None if there is none now."""
    try:
        return (next(items),)
    except StopIteration:
        return None
