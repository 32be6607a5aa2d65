"""The next batch is taken, and put where a GPU can copy it from, while this one is computed."""

import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self

from torch import Tensor


class Batches(Protocol):
    """What can be taken ahead: an iterator that can be told that nobody waits for it any more."""

    def __iter__(self) -> Iterator[Any]: ...

    def __next__(self) -> Any: ...

    def close(self) -> None:
        """Let a `next` that waits raise."""
        ...


class Ahead(Iterator[Any]):
    """The batches of `batches` after `prepare`, one ahead in a thread; a context.

    Whatever `batches` raises is raised here when its turn comes.
    """

    def __init__(self, batches: Batches, prepare: Callable[[Any], Any]):
        self._batches, self._prepare = batches, prepare
        self._thread = ThreadPoolExecutor(1, "batches")
        self._coming: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._batches.close()
        self._thread.shutdown(cancel_futures=True)

    def __next__(self) -> Any:
        coming = self._coming or self._thread.submit(self._take)
        batch = coming.result()
        if batch is None:
            raise StopIteration

        self._coming = self._thread.submit(self._take)
        return batch

    def _take(self) -> Any:
        """The next batch, None at the end: a future that raises StopIteration would never be
        done.
        """
        for batch in self._batches:
            return self._prepare(batch)

        return None


def pinned(batch: Any) -> Any:
    """A batch whose tensors lie in pinned memory, from which copies to a GPU do not wait; other
    batches as they are.
    """
    if not dataclasses.is_dataclass(batch) or isinstance(batch, type):
        return batch

    values = {field.name: getattr(batch, field.name) for field in dataclasses.fields(batch)}
    tensors = {
        name: value.pin_memory() for name, value in values.items() if isinstance(value, Tensor)
    }

    return dataclasses.replace(batch, **tensors)
