"""Many items, several processes: one that fails, or whose process dies, does not lose the others."""

import multiprocessing
import os
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import Any, Generic, Protocol, TypeVar

from densevos.base.errors import InputError, RunError, Stopped

Item = TypeVar("Item")
Result = TypeVar("Result")
OnStep = Callable[[str], object]
Function = Callable[[Item, OnStep], Result]
Broken = InputError | RunError  # Why an item has no result; other errors are not the item's and end everything.
BROKEN = InputError, RunError
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
        workers: list[_Worker[Item]] = [_Process(maker, single_threaded=single_threaded) for maker in processes]
        yield from _shared_by([_Thread(function), *workers] if here else workers, items, on_step)
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
    makers = [partial(_same, function)] * count
    yield from each(function, items, processes=makers, single_threaded=True)


def _same(function: Function[Item, Result]) -> Function[Item, Result]:
    return function


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


@contextmanager
def _without_sigint() -> Iterator[None]:
    """Processes begun meanwhile ignore Ctrl-C from their first moment on: it reaches the one that ends them, too."""
    if threading.current_thread() is not threading.main_thread():
        yield  # Only the main thread may choose what signals do.
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes started meanwhile load their numeric libraries with one thread; this process has loaded its own."""
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


class _Worker(Protocol[Item]):
    """Somebody who works on one item at a time."""

    connection: Connection
    item: Item

    def begin(self, item: Item) -> None:
        """Start to work on an item."""
        ...

    def answer(self) -> tuple[str, Any]:
        """What it says next: "step", "done" or "error", with a value."""
        ...

    def end(self) -> object:
        """End it, whatever it is doing."""
        ...


class _Thread(Generic[Item, Result]):
    """A worker in this process. It cannot be killed: when it is ended, it stops after its item."""

    connection: Connection
    item: Item

    def __init__(self, function: Function[Item, Result]):
        self._function = function
        self._thread: threading.Thread | None = None

    def begin(self, item: Item) -> None:
        self.item = item
        if self._thread is None:
            self.connection, there = multiprocessing.Pipe()
            self._thread = threading.Thread(target=_answer_items, args=(partial(_same, self._function), there))
            self._thread.daemon = True  # An interrupted run does not wait for it.
            self._thread.start()
        self.connection.send(item)

    def answer(self) -> tuple[str, Any]:
        return self.connection.recv()

    def end(self) -> None:
        if self._thread is not None:
            self.connection.close()
            self._thread.join(timeout=0.1)


class _Process(Generic[Item, Result]):
    """A worker in a process of its own; another one if that dies."""

    connection: Connection
    item: Item

    def __init__(self, maker: Callable[[], Function[Item, Result]], *, single_threaded: bool):
        self._maker = maker
        self._single_threaded = single_threaded
        self._process: BaseProcess | None = None

    def begin(self, item: Item) -> None:
        self.item = item
        if self._process is None:
            context = multiprocessing.get_context("spawn")  # A fork inherits locks of threads, and no GPU works in it.
            self.connection, there = context.Pipe()
            self._process = context.Process(target=_serve, args=(self._maker, there), daemon=True)
            with _without_sigint(), _one_thread() if self._single_threaded else nullcontext():
                self._process.start()
            there.close()  # Held open here, its end would not be noticed.
        self.connection.send(item)

    def answer(self) -> tuple[str, Any]:
        """What the process says next: "step", "done" or "error", with a value; its death is an outcome too."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            status = self.end()
            reason = f"its process died (exit status {status}); if memory was short, run again with fewer --workers"
            return "done", RunError(reason)

    def end(self) -> int | None:
        """Kill the process, if there is one, and return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.join(timeout=0)
        process.kill()  # Without effect on one that ended by itself.
        process.join()
        self.connection.close()
        return process.exitcode


def _shared_by(
    workers: Sequence[_Worker[Item]], items: Sequence[Item], on_step: OnStep
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


def _serve(maker: Callable[[], Function[Item, Result]], connection: Connection) -> None:
    """What a process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Where it was begun in another thread than the main one.
    _answer_items(maker, connection)


def _answer_items(maker: Callable[[], Function[Item, Result]], connection: Connection) -> None:
    """Items in, steps and outcomes out, until the other side is closed or dead."""
    try:
        function = maker()
        while True:
            item = connection.recv()
            outcome: Result | Broken
            try:
                outcome = function(item, lambda title: connection.send(("step", title)))
            except BROKEN as error:
                outcome = error
            connection.send(("done", outcome))
    except (EOFError, ConnectionError):
        return
    except (InputError, RunError, OSError) as error:
        connection.send(("error", error))
    except Exception:  # Not every exception survives the way between processes.
        connection.send(("error", RuntimeError(f"in a process:\n{traceback.format_exc()}")))
