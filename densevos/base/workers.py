"""Workers that process one item at a time, in a process of their own or in a thread of this one."""

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
"""Called with an item and a function, which it may call with a title whenever it makes a step."""
Broken = InputError | RunError
"""Why an item has no result. Errors of other types do not concern one item, and end everything."""
BROKEN = InputError, RunError
LINGERING = 10.0
"""Seconds to wait for a killed process to end. A process that waits for a disk or server which is
gone cannot end.
"""


class HungError(RunError):
    """A process made no step for so long that it was ended."""


class DiedError(RunError):
    """A process died while it worked on an item."""


THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that set the number of threads of numeric libraries."""


@contextmanager
def _without_sigint() -> Iterator[None]:
    """Let processes started in this block ignore Ctrl-C from their first moment on."""
    # Ctrl-C reaches the parent, too, which ends them. Only the main thread may set signal handlers;
    # `_serve` covers the other case, a moment later.
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes started in this block load their numeric libraries with one thread."""
    # This process has loaded its libraries, which read the variables only once.
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
    """Processes one item at a time."""

    connection: Connection
    """Becomes readable when there is an answer."""
    item: Item
    """The last item."""

    def begin(self, item: Item) -> None:
        """Start to work on an item."""
        ...

    def answer(self) -> tuple[str, Any]:
        """Receive the next message: "begun", "step", "done" or "error", with a value."""
        ...

    def end(self) -> object:
        """End the worker, whatever it is doing."""
        ...


class ThreadWorker(Generic[Item, Result]):
    """A worker in a thread of this process. It cannot be killed: it ends after its item.

    Args:
        function: Called with every item.
    """

    connection: Connection
    item: Item

    def __init__(self, function: Function[Item, Result]):
        self._function = function
        self._thread: threading.Thread | None = None

    def begin(self, item: Item) -> None:
        self.item = item
        if self._thread is None:
            self.connection, other_end = multiprocessing.Pipe()
            self._thread = threading.Thread(
                target=_answer_items, args=(partial(same, self._function), other_end)
            )
            # An interrupted run must not wait for the thread.
            self._thread.daemon = True
            self._thread.start()

        self.connection.send(item)

    def answer(self) -> tuple[str, Any]:
        message: tuple[str, Any] = self.connection.recv()
        return message

    def end(self) -> None:
        if self._thread is not None:
            # The thread is given a moment to end by itself; a daemon does not keep Python alive.
            self.connection.close()
            self._thread.join(timeout=0.1)


class ProcessWorker(Generic[Item, Result]):
    """A worker in a process of its own. If the process dies, the next item starts a new one.

    Args:
        maker: Called in the process; returns the function that is called with every item.
        single_threaded: Let numeric libraries of the process use one thread.
    """

    connection: Connection
    item: Item

    def __init__(self, maker: Callable[[], Function[Item, Result]], *, single_threaded: bool):
        self._maker = maker
        self._single_threaded = single_threaded
        self._process: BaseProcess | None = None

    def begin(self, item: Item) -> None:
        self.item = item
        if self._process is None:
            # A forked process would inherit locks of threads, and could not use a GPU.
            context = multiprocessing.get_context("spawn")
            self.connection, other_end = context.Pipe()
            self._process = context.Process(
                target=_serve, args=(self._maker, other_end), daemon=True
            )
            threads = _one_thread() if self._single_threaded else nullcontext()
            with _without_sigint(), threads:
                self._process.start()

            # If this process kept it open, the death of the other one would not be noticed.
            other_end.close()

        self.connection.send(item)

    def answer(self) -> tuple[str, Any]:
        """Receive the next message; the death of the process becomes an outcome of its item."""
        try:
            message: tuple[str, Any] = self.connection.recv()
            return message
        except (EOFError, ConnectionError):
            status = self.end()
            reason = (
                f"its process died (exit status {status}); "
                "if memory was short, run again with fewer --workers"
            )
            return "done", DiedError(reason)

    def end(self) -> int | None:
        """Kill the process, if there is one, and return its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None

        process.join(timeout=0)
        process.kill()  # no effect if it has ended by itself
        process.join(timeout=LINGERING)
        self.connection.close()

        return process.exitcode


class BusyWorkers(Generic[Item]):
    """Workers that have an item, each with the time of its next message at the latest.

    Args:
        timeout: Seconds between two messages of a process; None for no limit.
    """

    def __init__(self, timeout: float | None):
        self.workers: dict[Worker[Item], float] = {}
        self._timeout = timeout

    def begin(self, worker: Worker[Item], item: Item) -> None:
        """Give an item to an idle worker.

        Args:
            worker: The worker.
            item: The item.
        """
        # The time limit starts with the message "begun", because processes take a while to start.
        worker.begin(item)
        self.workers[worker] = math.inf

    def answers(self) -> Iterator[tuple[Worker[Item], str, Any]]:
        """Wait for messages; end workers whose time is over.

        Yields:
            A worker with its message and the message's value, for at least one worker unless the
            time of one is over. The end of a worker is the message "done" with a HungError.
        """
        # The nearest deadline bounds the wait; without any limit the wait lasts until a message.
        soonest = min(self.workers.values())
        patience = None if soonest == math.inf else max(0, soonest - time.monotonic())
        ready = wait([worker.connection for worker in self.workers], timeout=patience)

        for worker, deadline in list(self.workers.items()):
            late = deadline <= time.monotonic()
            # If the caller took longer than the limit, a worker that seems late has answered
            # meanwhile.
            if worker.connection in ready or (late and worker.connection.poll()):
                answer = worker.answer()
                self.workers[worker] = self._deadline(worker)
                yield worker, *answer
            elif late:
                worker.end()
                reason = (
                    f"gave nothing for {self._timeout:g} s, so its process was ended; "
                    "or raise --timeout"
                )
                yield worker, "done", HungError(reason)

    def _deadline(self, worker: Worker[Item]) -> float:
        """When the next message of a worker must arrive."""
        # Threads cannot be ended, so they have no limit.
        if self._timeout is None or isinstance(worker, ThreadWorker):
            return math.inf

        return time.monotonic() + self._timeout


def same(function: Function[Item, Result]) -> Function[Item, Result]:
    """Return the function itself; partial(same, function) is a maker for `ProcessWorker`."""
    return function


def _serve(maker: Callable[[], Function[Item, Result]], connection: Connection) -> None:
    """Main function of a process."""
    # For a process that was not started in the main thread, see `_without_sigint`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _answer_items(maker, connection)


def _answer_items(maker: Callable[[], Function[Item, Result]], connection: Connection) -> None:
    """Receive items, and send steps and outcomes, until the other end is closed."""
    try:
        # Made once per process: it may load a network.
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
    except Exception:  # Not every exception can be pickled, so its traceback is sent as text.
        connection.send(("error", RuntimeError(f"in a process:\n{traceback.format_exc()}")))
