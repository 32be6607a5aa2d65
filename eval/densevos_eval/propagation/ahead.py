"""Fetching what comes next, and putting away what is done, while what is there is worked on."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

Item = TypeVar("Item")
END = object()


def ahead(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """The items in their order, up to `count` of them fetched by a thread before they are asked
    for.

    Meant for frames that are decoded while a GPU computes. An error of `items` is raised in the
    place of its item.
    """
    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque(pool.submit(next, items, END) for _ in range(count))
        while (item := waiting.popleft().result()) is not END:
            waiting.append(pool.submit(next, items, END))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def behind(count: int = 2) -> Iterator[Callable[..., None]]:
    """A function that has others called by a thread, in their order, while the caller goes on by up
    to `count` of them.

    Meant for masks that are written while a GPU computes the next ones. An error is raised by a
    later call, or at the end, when all is done.
    """
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(1) as pool:

        def call(function: Callable[..., Any], *arguments: Any) -> None:
            waiting.append(pool.submit(function, *arguments))
            if len(waiting) > count:
                waiting.popleft().result()

        yield call
        for future in waiting:
            future.result()


def peeked(items: Iterable[Item]) -> tuple[Item | None, Iterator[Item]]:
    """The first item, None where there is none, and all of them."""
    iterator = iter(items)
    for item in iterator:
        return item, chain([item], iterator)

    return None, iterator
