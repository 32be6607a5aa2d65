"""Those who work on items, one at a time: a process of its own, or a thread of this one."""

import math
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, Protocol, TypeVar

from densevos.base.errors import InputError, RunError

Item = TypeVar("Item")
Result = TypeVar("Result")
OnStep = Callable[[str], object]
Function = Callable[[Item, OnStep], Result]
Broken = (
    InputError | RunError
)  # Why an item has no result; other errors are not the item's and end everything.
BROKEN = InputError, RunError
LINGERING = 10.0
"""Seconds that are waited for a killed process. One that waits for a disk or server that is gone
cannot die.
"""


class HungError(RunError):
    """An item at which a process gave nothing for so long that it was ended."""


class DiedError(RunError):
    """An item at which a process died."""


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@contextmanager
def _without_sigint() -> Iterator[None]:
    """Processes begun meanwhile ignore Ctrl-C from their first moment on: it reaches the one that
    ends them, too.
    """
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
    """Processes started meanwhile load their numeric libraries with one thread; this process has
    loaded its own.
    """
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


class Worker(Protocol[Item]):
    """Somebody who works on one item at a time."""

    connection: Connection
    item: Item

    def begin(self, item: Item) -> None:
        """Start to work on an item."""
        ...

    def answer(self) -> tuple[str, Any]:
        """What it says next: "begun", "step", "done" or "error", with a value."""
        ...

    def end(self) -> object:
        """End it, whatever it is doing."""
        ...


class ThreadWorker(Generic[Item, Result]):
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
            self._thread = threading.Thread(
                target=_answer_items, args=(partial(same, self._function), there)
            )
            self._thread.daemon = True  # An interrupted run does not wait for it.
            self._thread.start()

        self.connection.send(item)

    def answer(self) -> tuple[str, Any]:
        return self.connection.recv()

    def end(self) -> None:
        if self._thread is not None:
            self.connection.close()
            self._thread.join(timeout=0.1)


class ProcessWorker(Generic[Item, Result]):
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
            context = multiprocessing.get_context(
                "spawn"
            )  # A fork inherits locks of threads, and no GPU works in it.
            self.connection, there = context.Pipe()
            self._process = context.Process(target=_serve, args=(self._maker, there), daemon=True)
            with _without_sigint(), _one_thread() if self._single_threaded else nullcontext():
                self._process.start()

            there.close()  # Held open here, its end would not be noticed.

        self.connection.send(item)

    def answer(self) -> tuple[str, Any]:
        """What the process says next: "begun", "step", "done" or "error"; its death is an outcome
        too.
        """
        try:
            return self.connection.recv()
        except (EOFError, ConnectionError):
            status = self.end()
            reason = f"its process died (exit status {status}); if memory was short, run again with fewer --workers"
            return "done", DiedError(reason)

    def end(self) -> int | None:
        """Kill the process, if there is one, and return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None

        process.join(timeout=0)
        process.kill()  # Without effect on one that ended by itself.
        process.join(timeout=LINGERING)
        self.connection.close()

        return process.exitcode


class BusyWorkers(Generic[Item]):
    """Workers that have an item, each with the time by which it must have given something."""

    def __init__(self, timeout: float | None):
        self.workers: dict[Worker[Item], float] = {}
        self._timeout = timeout

    def begin(self, worker: Worker[Item], item: Item) -> None:
        """Give an item to an idle worker. Its time begins when it says so, as processes take a
        while to start.
        """
        worker.begin(item)
        self.workers[worker] = math.inf

    def answers(self) -> Iterator[tuple[Worker[Item], str, Any]]:
        """What the workers say next, at least one of them, and the end of each whose time is
        over.
        """
        soonest = min(self.workers.values())
        patience = None if soonest == math.inf else max(0, soonest - time.monotonic())
        ready = wait([worker.connection for worker in self.workers], timeout=patience)

        for worker, deadline in list(self.workers.items()):
            late = deadline <= time.monotonic()
            # Whoever takes the outcomes may have been slower than the limit: then there is an
            # answer by now.
            if worker.connection in ready or (late and worker.connection.poll()):
                answer = worker.answer()
                self.workers[worker] = self._deadline(worker)
                yield worker, *answer
            elif late:
                worker.end()
                reason = f"gave nothing for {self._timeout:g} s, so its process was ended; or raise --timeout"
                yield worker, "done", HungError(reason)

    def _deadline(self, worker: Worker[Item]) -> float:
        limited = self._timeout is not None and not isinstance(worker, ThreadWorker)
        return time.monotonic() + (self._timeout or 0) if limited else math.inf


def same(function: Function[Item, Result]) -> Function[Item, Result]:
    """A maker, once its argument is bound: of a function that can be sent to another process as it
    is.
    """
    return function


def _serve(maker: Callable[[], Function[Item, Result]], connection: Connection) -> None:
    """What a process does."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Where it was begun in another thread than the main one.
    _answer_items(maker, connection)


def _answer_items(maker: Callable[[], Function[Item, Result]], connection: Connection) -> None:
    """Items in, steps and outcomes out, until the other side is closed or dead."""
    try:
        function = maker()
        while True:
            item = connection.recv()
            connection.send(("begun", None))
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
