"""One long piece of work at a time, in a thread: how far it is, how it ended, and how to end it."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

from densevos.base.errors import InputError


class CancelledError(Exception):
    """The user has ended a job."""


@dataclass(kw_only=True)
class Job:
    """What a thread works on. Only that thread changes it, but for `cancel`."""

    kind: str
    total: int
    done: int = 0
    state: str = "running"
    message: str = ""
    _started: float = field(default_factory=time.monotonic)
    _stopped: Event = field(default_factory=Event)

    def step(self) -> None:
        """Count a frame; raises CancelledError when the user has ended the job."""
        self.done += 1
        if self._stopped.is_set():
            raise CancelledError

    def cancel(self) -> None:
        self._stopped.set()

    def facts(self) -> dict[str, Any]:
        """What the page shows; `left` are seconds."""
        seconds = time.monotonic() - self._started
        left = (
            seconds / self.done * (self.total - self.done)
            if self.done and self.state == "running"
            else None
        )
        names = ("kind", "total", "done", "state", "message")

        return {**{name: getattr(self, name) for name in names}, "left": left}


class Worker:
    """Runs one job after another."""

    def __init__(self) -> None:
        self.job: Job | None = None
        self._thread: Thread | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, job: Job, work: Callable[[Job], str]) -> None:
        """Begin a job; its work returns the line that says what came of it."""
        self.job = job
        self._thread = Thread(target=_run, args=(job, work), name=job.kind)
        self._thread.start()

    def stop(self) -> None:
        """End the job, if there is one, after its frame."""
        if self.job and self._thread:
            self.job.cancel()
            self._thread.join()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the end of the job."""
        if self._thread:
            self._thread.join(seconds)


def _run(job: Job, work: Callable[[Job], str]) -> None:
    try:
        job.message = work(job)
        job.state = "done"
    except CancelledError:
        job.message = f"Cancelled after {job.done} of {job.total} frames. What is done is kept."
        job.state = "cancelled"
    except InputError as error:
        job.message, job.state = str(error), "failed"
    except Exception as error:  # A thread has nobody else to tell.
        job.message, job.state = f"{type(error).__name__}: {error}", "failed"
