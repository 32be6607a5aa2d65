"""Prepare the next batch in a thread while the GPU computes on the current one."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

from torch import Tensor


class Batches(Protocol):
    """An iterator over batches whose `next` can be interrupted from another thread."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def close(self) -> None:
        """Let a waiting `next` raise an error."""
        ...


class Ahead(Iterator[Any]):
    """Takes and prepares one batch ahead in a thread; a context.

    An error of `batches` or `prepare` is raised in place of the batch that it concerns.

    Args:
        batches: Where batches come from.
        prepare: Called with each batch, in the thread; returns what this iterator yields.
    """

    def __init__(self, batches: Batches, prepare: Callable[[Any], Any]):
        self._batches, self._prepare = batches, prepare
        # One thread keeps the order of the batches.
        self._thread = ThreadPoolExecutor(1, "batches")
        self._coming: Future[Any] | None = None  # None before the first batch is asked for

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # The thread may wait for a batch: without `close`, `shutdown` would wait for it, too.
        self._batches.close()
        self._thread.shutdown(cancel_futures=True)

    def __next__(self) -> Any:
        coming = self._coming or self._thread.submit(self._take)
        # An error in the thread is raised here, at the batch that it concerns.
        batch = coming.result()
        if batch is None:
            raise StopIteration

        # The next batch is asked for before this one is used, so both go on at the same time.
        self._coming = self._thread.submit(self._take)
        return batch

    def _take(self) -> Any:
        """The next batch, or None at the end."""
        # `next` is not called: a future whose function raises StopIteration never finishes.
        for batch in self._batches:
            return self._prepare(batch)

        return None


def pinned(batch: Any) -> Any:
    """Copy the tensors of a batch to pinned memory, from which copies to a GPU are asynchronous.

    Args:
        batch: A dataclass with tensors as fields; anything else is returned unchanged.

    Returns:
        The batch with its tensors in pinned memory.
    """
    if not dataclasses.is_dataclass(batch) or isinstance(batch, type):
        return batch

    # Only the tensors are copied; names and other fields stay as they are.
    tensors = {}
    for field in dataclasses.fields(batch):
        value = getattr(batch, field.name)
        if isinstance(value, Tensor):
            tensors[field.name] = value.pin_memory()

    return dataclasses.replace(batch, **tensors)
