"""Fetching what comes next while what is there is worked on."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TypeVar

Item = TypeVar("Item")
END = object()


def ahead(items: Iterator[Item], count: int = 2) -> Iterator[Item]:
    """The items in their order, up to `count` of them fetched by a thread before they are asked for.

    Meant for frames that are decoded while a GPU computes. An error of `items` is raised in the place of its item.
    """
    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque(pool.submit(next, items, END) for _ in range(count))
        while (item := waiting.popleft().result()) is not END:
            waiting.append(pool.submit(next, items, END))
            yield item  # type: ignore[misc]
    finally:
        pool.shutdown(cancel_futures=True)


def peeked(items: Iterable[Item]) -> tuple[Item | None, Iterator[Item]]:
    """The first item, None where there is none, and all of them."""
    iterator = iter(items)
    for item in iterator:
        return item, chain([item], iterator)
    return None, iterator
