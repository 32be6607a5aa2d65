"""Read items ahead and write results behind, in threads."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

Item = TypeVar("Item")

END = object()
"""What a thread returns after the last item."""


def ahead(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """Read items ahead in a thread, so that frames are decoded while a GPU computes.

    Args:
        items: The items. If one raises an error, the error is raised in its place.
        count: How many items are read ahead.

    Yields:
        The items, in their order.
    """
    # One thread only: iterators must not be advanced from several threads.
    pool = ThreadPoolExecutor(1)
    try:
        # With a default `next` returns END at the end, instead of raising StopIteration.
        waiting = deque(pool.submit(next, items, END) for _ in range(count))
        while (item := waiting.popleft().result()) is not END:
            waiting.append(pool.submit(next, items, END))
            yield item  # type: ignore[misc]
    finally:
        # If the caller stops early, items that are waiting are not read any more.
        pool.shutdown(cancel_futures=True)


@contextmanager
def behind(count: int = 2) -> Iterator[Callable[..., None]]:
    """Call functions in a thread, so that masks are written while a GPU computes the next ones.

    Args:
        count: How many calls may wait.

    Yields:
        A function that takes another one with its arguments, to be called later. Calls happen in
        their order. An error is raised by a later call or when the context ends.
    """
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(1) as pool:

        def call(function: Callable[..., Any], *arguments: Any) -> None:
            waiting.append(pool.submit(function, *arguments))

            # Waiting for the oldest call limits the memory that arguments take.
            if len(waiting) > count:
                waiting.popleft().result()

        yield call
        # Errors of the last calls are raised here.
        for future in waiting:
            future.result()


def peeked(items: Iterable[Item]) -> tuple[Item | None, Iterator[Item]]:
    """Look at the first item without losing it.

    Returns:
        The first item, or None if there is none, and an iterator over all items.
    """
    iterator = iter(items)
    for item in iterator:
        return item, chain([item], iterator)

    return None, iterator
